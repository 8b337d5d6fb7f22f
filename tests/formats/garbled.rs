//! Texts and logs that are cut short, garbled or pasted together: read to an end or to an error
//! that names a line, and what was read is written as it was. The fuzz targets in `fuzz/` ask the
//! same of many more.

use std::path::PathBuf;

use vmadiff::parsing::{strace, text};

use crate::files::files;

/// Ways to spoil a text, each drawn from the file's place in the list.
fn spoiled(content: &[u8], draw: usize) -> Vec<Vec<u8>> {
    let at =
        |n: usize| draw.wrapping_mul(2_654_435_761).wrapping_add(n * 977) % content.len().max(1);
    let cut = content[..at(1)].to_vec();
    let headless = content[at(2)..].to_vec();
    let mut flipped = content.to_vec();
    flipped[at(3)] ^= 1 << (draw % 8);
    let mut swallowed = content.to_vec();
    swallowed.drain(at(4)..(at(4) + 1 + draw % 40).min(content.len()));
    let twice = [&content[..at(5)], &content[at(6)..]].concat();
    vec![cut, headless, flipped, swallowed, twice]
}

fn check(files: &[PathBuf], read: fn(&[u8])) {
    assert!(files.len() > 1);
    for (draw, file) in files.iter().enumerate() {
        let content = std::fs::read(file).unwrap();
        // A panic in there would not say of which.
        println!("{}", file.display());
        read(&content);
        spoiled(&content, draw)
            .iter()
            .for_each(|content| read(content));
    }
}

#[test]
fn program_text() {
    check(&files("corpus", "vma"), text);
}

#[test]
fn logs() {
    check(&files("tests/data", "strace"), strace);
    check(&files("corpus/traces", "vma"), strace);
}

/// A text of a megabyte, as one long program and as one long line.
#[test]
fn large_ones() {
    let line = "munmap(0x1f0000, 0x1000)\n";
    text(line.repeat((1 << 20) / line.len()).as_bytes());
    text("(".repeat(1 << 20).as_bytes());
    text(format!("load(0x{})\n", "0".repeat(1 << 20)).as_bytes());
    strace(format!("1 mmap({}\n", "NULL, ".repeat(1 << 17)).as_bytes());
}

/// What a log says that no machine answers: a mapping of nothing at 0 tells no place to look below.
#[test]
fn a_log_of_no_machine() {
    strace(b"mmap(NULL, 0, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0\nbrk(NULL) = 0x1eea4000\nexit(0) = ?\n");
    strace(b"mmap(NULL, 0 /* 0 vars */) = 0\nmunmap(0x10000, 4096) = 0\n");
}
