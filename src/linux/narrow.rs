//! Fits a program to the machine: drops calls and settings that can not be had on it.

use vmadiff_contract::{Call, Config, Fail, FileKind, PolicyFlags};
use vmadiff_linux::{Fitting, Machine, fits_config};

use crate::program::{Program, Schedule};

/// Changes a program into one that runs on the machine: settings become the machine's, files plain,
/// no allocation fails, and calls that do not fit are left out.
///
/// # Errors
/// If even default settings can not be had here: which one.
pub fn narrow(program: &mut Program, machine: &Machine) -> Result<(), String> {
    program.schedule = Schedule::default();
    let usual = Config::default();
    let config = &mut program.config;
    config.nodes = machine.nodes;
    config.commit_limit = u64::MAX;
    config.legacy_layout = false;
    config.task_size = usual.task_size;
    config.stack_guard_gap = usual.stack_guard_gap;
    config.max_map_count = usual.max_map_count;
    config.cap_ipc_lock &= machine.cap_ipc_lock;
    if fits_config(config, machine).is_err() {
        let nodes = machine.nodes;
        *config = Config { nodes, ..usual };
    }
    let config = &program.config;
    let zones = fits_config(config, machine).map_err(|why| why.to_string())?;
    for step in &mut program.calls {
        step.fail = Fail::NONE;
        if let Call::Open { kind, .. } = &mut step.call {
            *kind = FileKind::Plain;
        }
    }
    let mut fitting = Fitting::new(config, machine, &zones);
    program
        .calls
        .retain(|step| fitting.call(&step.call, step.fail).is_ok());
    Ok(())
}

/// The program's configuration with the machine's number of nodes, if none of its calls could tell:
/// each names only nodes that are there either way, and none counts them.
pub fn with_nodes(program: &Program, nodes: u8) -> Config {
    let config = program.config.clone();
    let common = config.nodes.min(nodes).min(63);
    let tells = |call: &Call| match *call {
        Call::Mbind { nodes, flags, .. } | Call::SetMempolicy { nodes, flags, .. } => {
            nodes >> common != 0 || flags.contains(PolicyFlags::RELATIVE_NODES)
        }
        _ => false,
    };
    if program.calls.iter().any(|step| tells(&step.call)) {
        return config;
    }
    Config { nodes, ..config }
}
