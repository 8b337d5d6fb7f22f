//! Whether inputs reach the same edges each time, whatever ran before, without afl-fuzz: what that calls
//! stability.

use std::collections::BTreeSet;
use std::path::Path;

use vmadiff::program::mutate::Profile;
use vmadiff::target::afl::Mutator;

/// Names a folder of inputs, each of which is changed a few times.
pub const VARIABLE: &str = "VMADIFF_REPEAT";

/// How often an input runs: after another one, and then after itself.
const TIMES: u32 = 3;
/// Changes of each input.
const CHANGES: usize = 8;
/// Bytes of an input, at most.
const LONGEST: usize = 4096;

unsafe extern "C" {
    /// How often each edge was reached. It is AFL++'s own.
    static mut __afl_area_ptr: *mut u8;
    static __afl_map_size: u32;
}

struct Input {
    name: String,
    bytes: Vec<u8>,
    /// What it reached first.
    reached: Edges,
}

/// Edges that were reached, and how often.
type Edges = Vec<(u32, u8)>;

/// Runs what is made of the inputs in a folder with `run`, prints which edges are not reached the same each
/// time, and ends the process: with 1 if there is any.
///
/// Each runs a few times on end, and then all once more, the last one first, with memory between them that
/// has been moved about: where an object lies must not be seen.
pub fn repeat(folder: &Path, profile: &Profile, mut run: impl FnMut(&[u8])) -> ! {
    let mut inputs = inputs(folder, profile);
    let mut unstable = BTreeSet::new();
    for input in &mut inputs {
        input.reached = reached_by(&mut run, &input.bytes);
        for _ in 1..TIMES {
            let now = reached_by(&mut run, &input.bytes);
            compare(input, &now, "at once", &mut unstable);
        }
    }
    let mut rubble = Vec::new();
    for (nth, input) in inputs.iter().enumerate().rev() {
        rubble.push(vec![0_u8; 16 + nth * 37 % 1000]);
        if nth % 3 == 0 {
            rubble.swap_remove(nth % rubble.len());
        }
        let now = reached_by(&mut run, &input.bytes);
        compare(input, &now, "after others", &mut unstable);
    }
    let edges = unstable.len();
    println!(
        "{} inputs: {edges} edges are not reached the same each time",
        inputs.len()
    );
    std::process::exit(i32::from(edges != 0 || inputs.is_empty()));
}

/// The inputs of a folder, each as it is and changed a few times.
fn inputs(folder: &Path, profile: &Profile) -> Vec<Input> {
    let mut mutator = Mutator::new(1, profile.clone());
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| {
        panic!("{VARIABLE}: {}: {error}", folder.display());
    });
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.is_file());
    files.sort();
    let mut inputs = Vec::new();
    for file in files {
        let mut bytes = std::fs::read(&file).expect("an input");
        for change in 0..CHANGES {
            let changed = mutator.fuzz(&bytes, &[], LONGEST).to_vec();
            inputs.push(Input {
                name: format!("{}, change {change}", file.display()),
                bytes: std::mem::replace(&mut bytes, changed),
                reached: Vec::new(),
            });
        }
    }
    inputs
}

/// Compares what an input has reached now with what it reached first, and prints which edges differ, each
/// edge once.
fn compare(input: &Input, now: &Edges, when: &str, unstable: &mut BTreeSet<u32>) {
    if *now == input.reached {
        return;
    }
    let both = [now, &input.reached];
    let [now, first] = both.map(|edges| edges.iter().copied().collect::<BTreeSet<_>>());
    let differ = now.symmetric_difference(&first).map(|(edge, _)| *edge);
    let differ: BTreeSet<_> = differ.filter(|edge| unstable.insert(*edge)).collect();
    if !differ.is_empty() {
        println!("{}, {when}: edges {differ:?}", input.name);
    }
}

/// Forgets what was reached.
pub fn forget() {
    map().fill(0);
}

/// Runs an input and answers what it reached. Always from here: this is instrumented like the rest.
#[inline(never)]
fn reached_by(run: &mut impl FnMut(&[u8]), bytes: &[u8]) -> Edges {
    run(bytes);
    let map = map().to_vec();
    let edges = (0..).zip(map);
    edges.filter(|(_, count)| *count != 0).collect()
}

fn map() -> &'static mut [u8] {
    // SAFETY: the runtime has made a map of this size, and nobody else uses it meanwhile.
    unsafe { std::slice::from_raw_parts_mut(__afl_area_ptr, __afl_map_size as usize) }
}
