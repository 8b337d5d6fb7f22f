//! `vmadiff corpus`: texts become seeds, a campaign becomes texts.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::shell::Shell;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus");

fn count(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[test]
fn seeds_are_made_once() {
    let shell = Shell::new();
    let seeds = format!("corpus seeds {CORPUS}/conformance/munmap -o seeds");
    let first = shell.run(&seeds);
    let made = count(&shell.folder().join("seeds"));
    assert!(made > 10, "{made}");
    let words = format!("{made} seeds written");
    assert!(first.succeeds().text().contains(&words), "{first:?}");
    let again = shell.run(&seeds);
    assert!(
        again.succeeds().text().contains(" 0 seeds written"),
        "{again:?}"
    );
    assert_eq!(count(&shell.folder().join("seeds")), made);
    // What engines do not run is no seed.
    let long = shell.run(&format!("corpus seeds {CORPUS}/traces/rustc.vma -o long"));
    assert!(long.text().contains("1 too long for engines"), "{long:?}");
    assert_eq!(count(&shell.folder().join("long")), 0);
}

/// A folder may have anything in it, of which nobody would want a seed.
#[test]
fn what_is_no_program_by_its_name_is_left_out_and_told() {
    let shell = Shell::new();
    std::fs::create_dir_all(shell.folder().join("kept/more")).unwrap();
    shell.write("kept/a.vma", "load(0x1f0000)\n");
    shell.write("kept/README.md", "What is kept.\n");
    shell.write("kept/more/picture.svg", "<svg/>\n");
    shell.write("kept/id:000000,src:000001", "load(0x1f1000)\n");
    let said = shell.run("corpus seeds kept -o seeds");
    assert!(
        said.succeeds().text().contains("2 seeds written"),
        "{said:?}"
    );
    for word in [
        "kept/README.md",
        "and 1 more",
        "left out: programs are named .vma",
    ] {
        assert!(said.stderr.contains(word), "{word}: {said:?}");
    }
    shell.run("corpus seeds kept/more -o none").refuses(&[
        "kept/more/picture.svg",
        "left out",
        "found no file, expected programs",
    ]);
    // What was named is meant, and what is wrong with it told.
    shell
        .run("corpus seeds kept/README.md -o none")
        .refuses(&["kept/README.md:1:1", "taken for text"]);
    assert!(!shell.folder().join("none").exists());
}

fn features(shell: &Shell, folder: &str) -> Value {
    let said = shell.run(&format!("corpus reach {folder} --json"));
    serde_json::from_slice(&said.succeeds().stdout).unwrap()
}

#[test]
fn a_distilled_campaign_is_small_and_reaches_as_much() {
    let shell = Shell::new();
    shell
        .run("fuzz serial --runs 1000 --seed 1 --corpus kept")
        .succeeds();
    let said = shell.run("corpus distill kept -o texts");
    let kept = count(&shell.folder().join("kept"));
    let texts = count(&shell.folder().join("texts"));
    assert!(texts * 2 < kept, "{texts} of {kept}");
    let reaches = |text: &str| {
        let words: Vec<&str> = text.split(' ').collect();
        let at = words
            .iter()
            .position(|word| word.trim_end_matches([',', '\n']) == "features")
            .unwrap();
        words[at - 1].parse::<usize>().unwrap()
    };
    let of = |folder: &str| reaches(shell.run(&format!("corpus reach {folder}")).text());
    assert_eq!(reaches(said.succeeds().text()), of("texts"));
    let again = shell.run("corpus distill kept --beyond texts -o more");
    assert!(
        again.succeeds().text().contains("more: 0 programs"),
        "{again:?}"
    );
    assert!(of("texts") >= of("kept"));
    let calls = |folder: &str| features(&shell, folder)["calls"].as_u64().unwrap();
    assert!(calls("texts") * 4 < calls("kept"));
    // Nothing is mixed with what is there.
    let again = shell.run("corpus distill kept -o texts");
    again.refuses(&["texts: expected an empty folder"]);
}

#[test]
fn what_diverges_is_left_out_and_named() {
    let shell = Shell::new();
    let defect = "--defect c2-offset-not-lowered";
    shell.run(&format!("fuzz --runs 100000 --seed 1 {defect}"));
    let distill = "corpus distill artifacts -o texts";
    shell.run(distill).succeeds();
    let said = shell.run(&format!("corpus distill artifacts -o none {defect}"));
    assert_eq!(said.status, 1, "{said:?}");
    assert!(
        said.text().contains("the managers diverge: artifacts/"),
        "{said:?}"
    );
}

#[test]
fn what_is_never_seen_is_listed() {
    let shell = Shell::new();
    let said = shell.run(&format!("corpus reach {CORPUS}/conformance/brk"));
    assert!(
        said.succeeds()
            .text()
            .contains("\n  a call that succeeds: mremap\n")
    );
    assert!(!said.text().contains("a call that succeeds: brk"));
    shell.run("corpus reach nowhere").refuses(&["nowhere"]);
    std::fs::create_dir(shell.folder().join("empty")).unwrap();
    shell
        .run("corpus reach empty")
        .refuses(&["empty: found no file, expected programs"]);
}

/// A campaign may be reached by a link, and a folder outside of it: nothing is deleted twice, or there.
#[test]
fn reducing_deletes_nothing_behind_a_link() {
    let shell = Shell::new();
    let made = "fuzz serial --runs 400 --seed 1 --corpus";
    shell.run(&format!("{made} all/real")).succeeds();
    shell.run(&format!("{made} other")).succeeds();
    let link = |to: &str, from: &str| {
        std::os::unix::fs::symlink(to, shell.folder().join(from)).unwrap();
    };
    link("real", "all/link");
    link("../other", "all/other");
    let count = |of: &str| fs::read_dir(shell.folder().join(of)).unwrap().count();
    let (own, others) = (count("all/real"), count("other"));
    // One of its own that none needs, though a link leads to its folder.
    let needless = format!("all/real/{}", "0".repeat(40));
    let some = fs::read_dir(shell.folder().join("all/real"))
        .unwrap()
        .next();
    fs::copy(
        some.unwrap().unwrap().path(),
        shell.folder().join(&needless),
    )
    .unwrap();
    shell.run("corpus reduce all").succeeds();
    assert!(count("all/real") <= own, "one of two that are the same");
    assert_eq!(count("other"), others);
    assert!(
        count("all/real") * 2 > own,
        "{} of {own}",
        count("all/real")
    );
    // Nor is what was once reduced less by it.
    let left = count("all/real");
    shell.run("corpus reduce all").succeeds();
    assert_eq!(count("all/real"), left);
    // What a link leads to stays, needed or not.
    fs::copy(
        fs::read_dir(shell.folder().join("all/real"))
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path(),
        shell.folder().join(&needless),
    )
    .unwrap();
    link(&"0".repeat(40), "all/real/by-hand");
    shell.run("corpus reduce all").succeeds();
    assert!(shell.folder().join("all/real/by-hand").exists());
}

/// It is what a full disk left.
#[test]
fn an_empty_file_is_no_seed() {
    let shell = Shell::new();
    shell.write("a.vma", "load(0x1f0000)\n");
    shell.run("corpus seeds a.vma -o seeds").succeeds();
    let seed = fs::read_dir(shell.folder().join("seeds")).unwrap().next();
    let seed = seed.unwrap().unwrap().path();
    let content = fs::read(&seed).unwrap();
    fs::write(&seed, "").unwrap();
    let said = shell.run("corpus seeds a.vma -o seeds");
    assert!(
        said.succeeds().text().contains("1 seed written"),
        "{said:?}"
    );
    assert_eq!(fs::read(&seed).unwrap(), content);
    // What else stands there is told, and stays.
    fs::write(&seed, "torn").unwrap();
    shell
        .run("corpus seeds a.vma -o seeds")
        .refuses(&["has 4 bytes, expected "]);
    fs::remove_file(&seed).unwrap();
    fs::create_dir(&seed).unwrap();
    shell
        .run("corpus seeds a.vma -o seeds")
        .refuses(&["is no file, expected one of "]);
}
