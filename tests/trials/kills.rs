//! Trial by kill: a command that writes, or one of its jobs, is killed at a random moment. Nothing
//! is torn, and what was there before is there still.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::scene::{SCENES, files, trouble};

/// Random numbers, the same for a seed everywhere (SplitMix64).
struct Random(u64);

impl Random {
    /// A number below a limit.
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % limit
    }
}

/// The processes that a process started.
fn children(process: u32) -> Vec<u32> {
    let path = format!("/proc/{process}/task/{process}/children");
    let list = std::fs::read_to_string(path).unwrap_or_default();
    let numbers = list.split_whitespace().map(str::parse);
    numbers.collect::<Result<_, _>>().unwrap()
}

fn kill(process: u32) {
    // It may have ended just now.
    let _ = std::process::Command::new("kill")
        .args(["-KILL", &process.to_string()])
        .stderr(Stdio::null())
        .status();
}

/// Kills commands at so many moments, drawn from a seed; answers how many were hit while they ran.
fn killed(moments: u32, seed: u64) -> u32 {
    let mut random = Random(seed);
    let untroubled = SCENES.each_ref().map(|scene| {
        let start = Instant::now();
        let (_, wanted) = scene.untroubled();
        (start.elapsed(), wanted)
    });
    let mut hit = 0;
    for moment in 0..moments {
        // Campaigns, which are most at work, more often than the others.
        let index = [0, 1, 2, random.below(SCENES.len() as u64) as usize][moment as usize % 4];
        let (scene, (length, wanted)) = (&SCENES[index], &untroubled[index]);
        let folder = scene.set();
        let mut command = scene.command(folder.path());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut running = command.spawn().unwrap();
        let delay = random.below(length.as_micros() as u64 + 1);
        std::thread::sleep(Duration::from_micros(delay));
        let jobs = children(running.id());
        hit += u32::from(running.try_wait().unwrap().is_none());
        if let Some(&job) = jobs.first()
            && random.below(3) == 0
        {
            // The command has to end by itself, and tell: a job died.
            kill(job);
            let status = running.wait().unwrap();
            assert_ne!(status.code(), None, "{}: {status}", scene.name);
        } else {
            kill(running.id());
            running.wait().unwrap();
            // Its jobs notice, and end by themselves.
            let start = Instant::now();
            let lives = |job: &u32| {
                let state = std::fs::read_to_string(format!("/proc/{job}/stat"));
                state.is_ok_and(|state| !state.contains(") Z "))
            };
            while jobs.iter().any(lives) {
                assert!(start.elapsed() < Duration::from_secs(30), "jobs live on");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        let left = files(folder.path());
        if let Some(trouble) = trouble(scene, wanted, &left) {
            panic!("{}, killed after {delay} µs: {trouble}", scene.name);
        }
    }
    hit
}

#[test]
fn some_moments() {
    assert!(killed(12, 1) > 0);
}

#[test]
#[ignore = "some minutes: .ci/weekly"]
fn three_hundred_moments() {
    let hit = killed(300, 2);
    println!("{hit} of 300 commands were killed while they ran");
    assert!(hit > 150, "{hit} hit");
}
