//! Counts by callgrind what fixed scenes take, and compares that with what `counts` beside this file
//! says. `.ci/instructions` runs it.
//!
//! ```text
//! vmadiff-instructions             compares; a slow-down that is planted in each scene must be found
//! vmadiff-instructions --update    counts anew and writes `counts`
//! vmadiff-instructions SCENE       plays a scene, for a profile; with `--slower` as planted
//! ```
//!
//! Only the scene's own work is counted, not what sets it up. Caches are not simulated. Counts are of
//! x86-64 and of the compiler that is named in `counts`.

mod scenes;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use scenes::SCENES;

/// So many per cent more fail; and so many less are to be written down, or they could be lost unseen.
const TOLERATED: u64 = 5;

/// What of libc goes by the machine or by chance: copies are those of the oldest processor, and what is
/// freed is kept for the next of its size, where joining it with its neighbours took now 10 % more and
/// now less of an allocation.
const TUNABLES: &str = "glibc.cpu.hwcaps=-AVX,-AVX2,-AVX2_Usable,-AVX512F,-AVX512VL,-ERMS,-FSRM:\
                        glibc.malloc.tcache_max=65536:glibc.malloc.tcache_count=1000";

type Counted<T = u64> = Result<T, String>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        [] => compare(),
        ["--update"] => update(),
        [scene] => play(scene, false),
        [scene, "--slower"] => play(scene, true),
        _ => Err("usage: vmadiff-instructions [--update | SCENE [--slower]]".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn play(scene: &str, slower: bool) -> Counted<()> {
    let known = SCENES.iter().find(|(name, _)| *name == scene);
    let (_, make) = known.ok_or_else(|| format!("no scene `{scene}`"))?;
    make().play(slower);
    Ok(())
}

/// Counts each scene, as it is and with a slow-down, which has to be found.
fn compare() -> Counted<()> {
    let written = Written::read()?;
    if written.compiler != compiler() {
        println!(
            "counts are of {}, and this is {}: what that does is compared, too",
            written.compiler,
            compiler()
        );
    }
    let mut wrong = String::new();
    println!(
        "{:10} {:>12} {:>12} {:>8}",
        "scene", "written", "counted", "change"
    );
    for (scene, _) in SCENES {
        let (before, now) = (written.of(scene)?, count(scene, false)?);
        let change = now as f64 * 100.0 / before as f64 - 100.0;
        println!("{scene:10} {before:12} {now:12} {change:+7.2}%");
        if let Some(why) = objection(before, now) {
            let _ = writeln!(wrong, "{scene}: {why}");
        }
        let planted = count(scene, true)?;
        if objection(now, planted).is_none() {
            let _ = writeln!(
                wrong,
                "{scene}: a slow-down of 6 % is planted and not found: {now} and {planted}"
            );
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

fn objection(before: u64, now: u64) -> Option<&'static str> {
    if now * 100 > before * (100 + TOLERATED) {
        Some("slower by more than 5 %; if that is meant, `.ci/instructions --update`")
    } else if now * 100 < before * (100 - TOLERATED) {
        Some("faster by more than 5 %, which is to be written down: `.ci/instructions --update`")
    } else {
        None
    }
}

fn update() -> Counted<()> {
    let mut text = format!("# Instructions of each scene, by {}.\n", compiler());
    for (scene, _) in SCENES {
        let _ = writeln!(text, "{scene} {}", count(scene, false)?);
    }
    print!("{text}");
    let path = Written::path();
    std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// What callgrind counts of a scene.
fn count(scene: &str, slower: bool) -> Counted {
    let program = std::env::current_exe().map_err(|error| format!("this program: {error}"))?;
    let out = std::env::temp_dir().join(format!("callgrind-{scene}-{}", std::process::id()));
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args([
            "--tool=callgrind",
            "--cache-sim=no",
            "--toggle-collect=*Scene*play*",
        ])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .arg(scene)
        .args(slower.then_some("--slower"))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("GLIBC_TUNABLES", TUNABLES);
    let ran = valgrind
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let said = String::from_utf8_lossy(&ran.stderr);
    if !ran.status.success() {
        return Err(format!("{scene} under valgrind: {}\n{said}", ran.status));
    }
    let profile = std::fs::read_to_string(&out);
    let _ = std::fs::remove_file(&out);
    let profile = profile.map_err(|error| format!("{}: {error}", out.display()))?;
    let total = profile
        .lines()
        .find_map(|line| line.strip_prefix("totals: "));
    let total = total.and_then(|total| total.trim().parse().ok());
    total
        .filter(|&total| total > 0)
        .ok_or_else(|| format!("{scene}: callgrind has no total\n{said}"))
}

/// What `counts` says.
struct Written {
    compiler: String,
    text: String,
}

impl Written {
    fn path() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("counts")
    }

    fn read() -> Counted<Self> {
        let path = Self::path();
        let text = std::fs::read_to_string(&path);
        let text = text.map_err(|error| {
            format!(
                "{}: {error}; `.ci/instructions --update` writes it",
                path.display()
            )
        })?;
        let first = text.lines().next().unwrap_or_default();
        let compiler = first.rsplit_once(", by ").map_or("", |(_, by)| by);
        Ok(Self {
            compiler: compiler.trim_end_matches('.').to_owned(),
            text,
        })
    }

    fn of(&self, scene: &str) -> Counted {
        let mut lines = self.text.lines().filter_map(|line| line.split_once(' '));
        let count = lines.find(|(name, _)| *name == scene);
        let count = count.and_then(|(_, count)| count.parse().ok());
        count.ok_or_else(|| {
            let path = Self::path();
            format!(
                "{}: no count of `{scene}`; `.ci/instructions --update` counts",
                path.display()
            )
        })
    }
}

/// The compiler that cargo uses here.
fn compiler() -> String {
    let said = Command::new("rustc").arg("--version").output();
    let said = said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned());
    let said = said.unwrap_or_default();
    said.split(' ').take(2).collect::<Vec<_>>().join(" ")
}
