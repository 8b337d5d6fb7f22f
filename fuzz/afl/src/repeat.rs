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

/// Runs what is made of the inputs in a folder with `run`, prints which edges are not reached the same each
/// time, and ends the process: with 1 if there is any.
pub fn repeat(folder: &Path, profile: &Profile, mut run: impl FnMut(&[u8])) -> ! {
    let mut mutator = Mutator::new(1, profile.clone());
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| {
        panic!("{VARIABLE}: {}: {error}", folder.display());
    });
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.is_file());
    files.sort();
    let (mut ran, mut unstable) = (0_u64, BTreeSet::new());
    for file in files {
        let mut input = std::fs::read(&file).expect("an input");
        for change in 0..CHANGES {
            let mut first = Vec::new();
            for _ in 0..TIMES {
                run(&input);
                // All that comes after is seen in the map, too: this is instrumented like the rest.
                let now = reached().to_vec();
                if first.is_empty() {
                    first = now;
                    continue;
                }
                let edges = (0..now.len()).filter(|&edge| now[edge] != first[edge]);
                let edges: Vec<_> = edges.filter(|&edge| unstable.insert(edge)).collect();
                if !edges.is_empty() {
                    println!("{}, change {change}: edges {edges:?}", file.display());
                }
            }
            ran += 1;
            input = mutator.fuzz(&input, &[], LONGEST).to_vec();
        }
    }
    let edges = unstable.len();
    println!("{ran} inputs: {edges} edges are not reached the same each time");
    std::process::exit(i32::from(edges != 0 || ran == 0));
}

/// Forgets what was reached.
pub fn forget() {
    reached().fill(0);
}

fn reached() -> &'static mut [u8] {
    // SAFETY: the runtime has made a map of this size, and nobody else uses it meanwhile.
    unsafe { std::slice::from_raw_parts_mut(__afl_area_ptr, __afl_map_size as usize) }
}
