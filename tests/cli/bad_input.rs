//! Bad input: file, line, what was expected; status 2, no panic, nothing written over.

use crate::shell::Shell;

#[track_caller]
fn check(text: impl AsRef<[u8]>, words: &[&str]) {
    let shell = Shell::new();
    shell.write("bad.vma", text);
    shell.run("convert bad.vma -o out").refuses(words);
    assert!(!shell.folder().join("out").exists());
}

#[test]
fn syntax_errors_name_the_place() {
    check(
        "load(0x1000)\nmunmap(0x10000,\n",
        &["bad.vma:2:16", "expected a length"],
    );
    check("mmapp(0x10000)\n", &["bad.vma:1:1", "expected"]);
    check(
        "load(0x1000) = maybe\n",
        &["bad.vma:1:16", "expected a result"],
    );
    check("config tasks=many\n", &["bad.vma:1:", "expected"]);
    check(
        "load(0x1000) surplus\n",
        &["bad.vma:1:14", "expected", "surplus"],
    );
}

#[test]
fn text_that_is_no_text_is_refused() {
    check(b"load(\xff\xfe)\n", &["bad.vma", "expected UTF-8"]);
}

#[test]
fn missing_files_and_folders_are_named() {
    let shell = Shell::new();
    shell
        .run("convert nowhere.vma")
        .refuses(&["nowhere.vma", "No such file"]);
    shell
        .run("convert .")
        .refuses(&[".: is a folder, expected a file"]);
}

/// Commands that look through a folder.
const LOOKING: [&str; 5] = [
    "run programs",
    "linux programs",
    "corpus reach programs",
    "corpus seeds programs -o out",
    "corpus rename --check programs",
];

/// A folder with a program.
fn with_programs() -> Shell {
    let shell = Shell::new();
    std::fs::create_dir(shell.folder().join("programs")).unwrap();
    shell.write("programs/one.vma", "load(0x1000)\n");
    shell
}

#[test]
fn a_link_back_in_a_folder_is_named() {
    let shell = with_programs();
    std::os::unix::fs::symlink("..", shell.folder().join("programs/back")).unwrap();
    for command in LOOKING {
        let words = ["programs/back: is a link to ", "which it is in"];
        shell.run(command).refuses(&words);
    }
}

#[test]
fn a_link_to_nothing_in_a_folder_is_named() {
    let shell = with_programs();
    std::os::unix::fs::symlink("nothing", shell.folder().join("programs/two.vma")).unwrap();
    for command in &LOOKING[2..] {
        let words = ["programs/two.vma: No such file"];
        shell.run(command).refuses(&words);
    }
    shell
        .run("corpus seeds programs/one.vma -o inputs")
        .succeeds();
    std::os::unix::fs::symlink("nothing", shell.folder().join("inputs/two")).unwrap();
    let words = ["inputs/two: is a link to nothing"];
    shell.run("fuzz --runs 1 --corpus inputs").refuses(&words);
}

#[test]
fn a_pipe_in_a_folder_is_not_waited_for() {
    let shell = with_programs();
    let pipe = shell.folder().join("programs/two.vma");
    let made = std::process::Command::new("mkfifo").arg(pipe).status();
    assert!(made.unwrap().success());
    for command in LOOKING {
        let words = ["programs/two.vma: is no file and no folder"];
        shell.run(command).refuses(&words);
    }
}

#[test]
fn what_exists_is_left_alone() {
    let shell = Shell::new();
    shell.write("in.vma", "load(0x1000)\n");
    shell.write("out", "precious");
    shell
        .run("convert in.vma -o out")
        .refuses(&["out: exists already", "--force"]);
    assert_eq!(shell.read("out"), b"precious");
    shell.run("convert in.vma -o out --force").succeeds();
    assert_ne!(shell.read("out"), b"precious");
}

#[test]
fn wrong_usage_is_refused() {
    let shell = Shell::new();
    shell.run("").refuses(&["Usage: vmadiff"]);
    shell
        .run("conver")
        .refuses(&["unrecognized subcommand 'conver'", "convert"]);
    shell.run("convert --forse x").refuses(&["--forse"]);
}

/// Any bytes are a program: hostile ones too, short ones too.
#[test]
fn all_bytes_are_programs() {
    let hostile: Vec<u8> = (0..5000_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    for length in (0..200).chain([1000, 2320, 2321, 5000]) {
        let shell = Shell::new();
        shell.write("bytes", &hostile[..length]);
        let said = shell.run("convert bytes --to text");
        if said.stderr.contains("has no calls") {
            assert!(length < 64, "{length}");
            continue;
        }
        said.succeeds();
        shell.write("text.vma", &said.stdout);
        shell.run("convert text.vma -o again").succeeds();
        let said_again = shell.run("convert again --to text");
        assert_eq!(said_again.succeeds().text(), said.text());
    }
}
