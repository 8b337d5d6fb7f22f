//! A command with folders to work in, and what must hold of them however it ends.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha1_smol::Sha1;
use tempfile::TempDir;
use vmadiff::program::Case;

/// The program under test.
pub const VMADIFF: &str = env!("CARGO_BIN_EXE_vmadiff");

/// A command that writes, and what is there before it runs.
pub struct Scene {
    pub name: &'static str,
    /// Of vmadiff, separated by blanks.
    pub arguments: &'static str,
    /// Names and contents.
    pub before: &'static [(&'static str, &'static str)],
}

/// A finding of an earlier campaign, by hand.
const FOUND_BEFORE: &str = "\
# vma-references/mmap/vma: found before.
# made by vmadiff 0.0.1 (unknown); rustc; defects: none
munmap(0x1f0000, 0x1000)
";

/// Something to convert, to shrink and to draw.
const PROGRAM: &str = "\
mmap(0x1f0000, 0x4000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)
[2] store(0x1f1000, 7)
munmap(0x1f1000, 0x1000)
";

/// An input as bytes, under the name of its content.
const INPUT: (&str, &str) = ("c/722a098c1efa81d8cbb20abe398068ed4109c66c", "\u{1}abc");

/// Every command that writes files, and those that run programs on the kernel.
pub const SCENES: [Scene; 13] = [
    Scene {
        name: "a campaign with a corpus",
        arguments: "fuzz serial --runs 150 --seed 1 --corpus c --artifacts a",
        before: &[INPUT, ("a/vma-references-mmap-vma.vma", FOUND_BEFORE)],
    },
    Scene {
        name: "a campaign that finds",
        arguments: "fuzz serial --runs 200 --seed 1 --keep-going --defect get-too-few \
                    --corpus c --artifacts a",
        before: &[INPUT, ("a/vma-references-mmap-vma.vma", FOUND_BEFORE)],
    },
    Scene {
        name: "a campaign that ends with its first finding",
        arguments: "fuzz --runs 200 --seed 1 --defect get-too-few --artifacts a --json",
        before: &[("a/vma-references-mmap-vma.vma", FOUND_BEFORE)],
    },
    Scene {
        name: "minimize",
        arguments: "minimize --defect get-too-few p.vma",
        before: &[("p.vma", PROGRAM)],
    },
    Scene {
        name: "convert",
        arguments: "convert p.vma -o out",
        before: &[("p.vma", PROGRAM)],
    },
    Scene {
        name: "convert in another's place",
        arguments: "convert --c p.vma -o out --force",
        before: &[("p.vma", PROGRAM), ("out", "precious")],
    },
    Scene {
        name: "show",
        arguments: "show --html p.vma -o out.html",
        before: &[("p.vma", PROGRAM)],
    },
    Scene {
        name: "corpus seeds",
        arguments: "corpus seeds p.vma more -o c",
        before: &[
            INPUT,
            ("p.vma", PROGRAM),
            ("more/q.vma", "load(0x1f0000)\n"),
        ],
    },
    Scene {
        name: "corpus distill",
        arguments: "corpus distill c p.vma -o d",
        before: &[INPUT, ("p.vma", PROGRAM)],
    },
    Scene {
        name: "corpus reduce",
        arguments: "corpus reduce c",
        before: &[INPUT, ("c/mine", "\u{1}abc")],
    },
    Scene {
        name: "hunt",
        arguments: "hunt --seeds 1 --seconds 20 --defect get-too-few --plot out.svg",
        before: &[],
    },
    Scene {
        name: "programs on the running kernel",
        arguments: "linux p.vma more",
        before: &[("p.vma", PROGRAM), ("more/q.vma", "load(0x1f0000)\n")],
    },
    Scene {
        name: "a campaign on the running kernel",
        arguments: "fuzz linux --runs 20 --seed 1 --artifacts a",
        before: &[("a/vma-references-mmap-vma.vma", FOUND_BEFORE)],
    },
];

/// Files by their names.
pub type Files = BTreeMap<PathBuf, Vec<u8>>;

impl Scene {
    /// A folder with what is there before.
    pub fn set(&self) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in self.before {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        folder
    }

    /// The command.
    pub fn command(&self, folder: &Path) -> Command {
        let mut command = Command::new(VMADIFF);
        self.arrange(&mut command, folder);
        command
    }

    /// Its arguments, folder and surroundings, for a command that may run it through another.
    pub fn arrange(&self, command: &mut Command, folder: &Path) {
        command
            .args(self.arguments.split_whitespace())
            .current_dir(folder);
    }

    /// The status of an end without trouble, and the files that it leaves.
    pub fn untroubled(&self) -> (i32, Files) {
        let folder = self.set();
        let output = self.command(folder.path()).output().unwrap();
        let status = output.status.code().expect("an end by itself");
        assert!(status <= 1, "{}: {output:?}", self.name);
        (status, files(folder.path()))
    }
}

/// All files in a folder, but for those that are not in their place yet: these nobody reads.
pub fn files(folder: &Path) -> Files {
    let mut files = Files::new();
    add(folder, folder, &mut files);
    files
}

fn add(root: &Path, folder: &Path, files: &mut Files) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            add(root, &path, files);
        } else if !path
            .file_name()
            .unwrap()
            .as_encoded_bytes()
            .starts_with(b".vmadiff-")
        {
            let content = fs::read(&path).unwrap();
            files.insert(path.strip_prefix(root).unwrap().to_owned(), content);
        }
    }
}

/// Whether every file is whole, and none is lost that was there before; else what is wrong.
pub fn trouble(scene: &Scene, wanted: &Files, left: &Files) -> Option<String> {
    for (name, content) in scene.before {
        let name = Path::new(name);
        let now = left.get(name);
        if now.is_none_or(|now| now != content.as_bytes() && Some(now) != wanted.get(name)) {
            return Some(format!("{}: was there before", name.display()));
        }
    }
    let torn = left
        .iter()
        .find(|(name, content)| !is_whole(name, content, wanted));
    torn.map(|(name, content)| format!("{}: torn, {} bytes", name.display(), content.len()))
}

/// A file is whole if it is what is wanted, or, of files whose content cannot be foreseen, if it
/// can be read as what its name says.
fn is_whole(name: &Path, content: &[u8], wanted: &Files) -> bool {
    if wanted.get(name).is_some_and(|wanted| wanted == content) {
        return true;
    }
    let stem = name.file_name().unwrap().to_str().unwrap();
    if stem == "counts.txt" {
        let is_count = |line: &str| {
            let told = line
                .strip_suffix('\n')
                .and_then(|line| line.split_once(' '));
            told.is_some_and(|(times, name)| times.parse::<u64>().is_ok() && name.ends_with(".vma"))
        };
        return std::str::from_utf8(content)
            .is_ok_and(|text| text.split_inclusive('\n').all(is_count));
    }
    if let Some((_, sha1)) = stem.split_once('-')
        && ["crash-", "oom-", "timeout-"]
            .iter()
            .any(|how| stem.starts_with(how))
    {
        return sha1 == Sha1::from(content).digest().to_string();
    }
    if name.extension().is_some_and(|end| end == "svg") {
        // Of the time that a hunt took.
        return content.starts_with(b"<svg") && content.ends_with(b"</svg>\n");
    }
    if name.extension().is_some_and(|end| end == "vma") {
        let text = String::from_utf8_lossy(content);
        let whole = content.ends_with(b"\n") && Case::parse("left", &text).is_ok();
        // An artifact names its maker before its program.
        return whole && (!name.starts_with("a") || text.contains("# made by vmadiff"));
    }
    // What was there before, an input under its content's name, or one of another job.
    stem == Sha1::from(content).digest().to_string() || content == b"precious"
}
