//! The life of the object that a law is about, event by event, the offending one marked.

use vmadiff_contract::CallKind;

use super::{Report, Role};
use crate::judge::{Divergence, Side};
use crate::program::Program;
use crate::story::words::of_life;
use crate::story::{Happening, Moment};

/// Who puts and frees when no call does: the kernel, once a grace period is over.
const KERNEL: &str = "grace period";

pub fn add(report: &mut Report, program: &Program, divergence: &Divergence, story: &[Moment]) {
    let Some(object) = divergence.object else {
        return;
    };
    let side = divergence.side.unwrap_or(Side::Candidate);
    report.heading(&format!("life of {object} in the {side}"));
    let mut told = false;
    for moment in story {
        if let Happening::Event(event) = moment.what {
            let text = of_life(object, &event);
            let text = text.or_else(|| moment.offends.then(|| format!("{event:?}")));
            if let Some(text) = text {
                line(
                    report,
                    moment.offends,
                    moment.call,
                    &who(program, moment),
                    &text,
                );
            }
            told |= moment.offends;
            if moment.offends {
                break;
            }
        }
    }
    if !told {
        // A race's signature has the step at which it parts there.
        let shown = divergence
            .formerly
            .as_ref()
            .unwrap_or(&divergence.signature);
        let call = shown.call;
        line(report, true, divergence.at, call, "and nothing more");
    }
}

/// The call, and the task that made it if it is not the first.
fn who(program: &Program, moment: &Moment) -> String {
    let Some(at) = moment.call else {
        return KERNEL.to_owned();
    };
    let step = program.calls.get(at);
    let name = step.map_or(CallKind::Exit, |step| step.call.kind()).name();
    match moment.task.0 {
        0 | 1 => name.to_owned(),
        task => format!("[{task}] {name}"),
    }
}

fn line(report: &mut Report, marked: bool, at: Option<usize>, who: &str, text: &str) {
    let (role, mark) = if marked {
        (Role::Marked, '>')
    } else {
        (Role::Plain, ' ')
    };
    let number = at.map_or_else(String::new, |at| (at + 1).to_string());
    report.line(role, format!(" {mark}{number:>4}  {who:<14} {text}"));
}
