//! The picture in a browser: its parts are there, nothing comes from elsewhere, shapes say what
//! they are when tapped, and it fits a narrow screen. Where there is no Chromium the browser's part
//! is left out, and says so.
#![cfg(feature = "command")]

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// An area that grows down and keeps its offset; a fault that is served speculatively.
const SERIAL: &str = "mmap(NULL, 0x2000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, 3, 0)\n\
    store(0x20e000, 7)\n\
    [2] store(0x20f000, 8)\n\
    mmap(NULL, 0x1000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, 3, 0)\n";
const DEFECT: &str = "c2-offset-not-lowered";

/// A speculative fault that a munmap comes into.
const WOVEN: &str = "mmap(0x1f0000, 0x2000, PROT_READ|PROT_WRITE, \
    MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
    store(0x1f0000, 1)\n\
    [2] store(0x1f1000, 2)\n\
    munmap(0x1f0000, 0x2000)\n\
    switch: 2@handle_speculative_fault.vm_start#1 -> 1\n";

/// Taps a call, and says what is seen of it and whether the page is wider than the screen.
const PROBE: &str = "<script>\
    document.querySelector('.call').dispatchEvent(new MouseEvent('click', {bubbles: true}));\
    const page = document.documentElement;\
    document.body.insertAdjacentHTML('beforeend', '<p id=\"probe\">tip=' +\
    document.getElementById('tip').textContent + ' wide=' + (page.scrollWidth > innerWidth) +\
    ' shown=' + (document.querySelector('.timeline').getBoundingClientRect().height > 60) + '</p>');\
    </script>";

/// What `vmadiff show` prints of a program.
fn shown(folder: &TempDir, program: &str, arguments: &str) -> String {
    std::fs::write(folder.path().join("in.vma"), program).unwrap();
    let ran = Command::new(env!("CARGO_BIN_EXE_vmadiff"))
        .args(format!("show {arguments} in.vma").split_whitespace())
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(
        ran.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    String::from_utf8(ran.stdout).unwrap()
}

/// The page after its scripts ran, on a screen as narrow as the browser allows; none without one.
fn in_browser(page: &Path) -> Option<String> {
    let browser = BROWSERS.iter().find(|name| {
        let tried = Command::new(name).arg("--version").output();
        tried.is_ok_and(|tried| tried.status.success())
    })?;
    let ran = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--window-size=500,900",
        ])
        .args(["--timeout=20000", "--dump-dom"])
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    Some(String::from_utf8(ran.stdout).unwrap())
}

#[track_caller]
fn has(page: &str, parts: &[&str]) {
    for part in parts {
        assert!(page.contains(part), "no {part}");
    }
}

/// Nothing is fetched: no address but the namespace of SVG, and no file that is named.
fn stands_alone(page: &str) {
    let addresses = page.matches("http").count();
    let namespaces = page.matches("xmlns=\"http://www.w3.org/2000/svg\"").count();
    assert_eq!(addresses, namespaces, "{page}");
    for part in ["src=", "href=", "@import", "url("] {
        assert!(!page.contains(part), "{part}");
    }
}

#[test]
fn the_page_has_its_parts() {
    let folder = tempfile::tempdir().unwrap();
    let page = shown(&folder, SERIAL, &format!("--html --defect {DEFECT}"));
    stands_alone(&page);
    has(
        &page,
        &[
            "h1 class=\"diverge\"",
            "state/mmap/vmas.pgoff",
            "class=\"wrong\"",
        ],
    );
    has(
        &page,
        &["<figure class=\"reference\"", "<figure class=\"candidate\""],
    );
    has(
        &page,
        &["class=\"t served\"", "class=\"refs\"", "class=\"offence\""],
    );
    has(&page, &["run --defect c2-offset-not-lowered in.vma"]);
}

#[test]
fn a_woven_run_has_switches_locks_and_sections() {
    let folder = tempfile::tempdir().unwrap();
    let page = shown(&folder, WOVEN, "--html");
    stands_alone(&page);
    has(
        &page,
        &["class=\"t switch\"", "class=\"t lock\"", "mmap_sem, shared"],
    );
    has(
        &page,
        &[
            "class=\"t inside\"",
            "class=\"t rcu\"",
            "class=\"t effect\"",
        ],
    );
}

/// fork has copied a page and not yet flushed when task 3 stores through its TLB: the store is lost.
const LOST: &str = "config tasks=3\n\
    mmap(0x1f0000, 0x1000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_FIXED|MAP_ANONYMOUS, -1, 0)\n\
    [2] store(0x1f0000, 1)\n\
    fork()\n\
    [3] store(0x1f0001, 3)\n\
    [2] store(0x1f0002, 2)\n\
    [3] load(0x1f0002)\n\
    switch: 1@copy_pte_range.dst_ptl#2 -> 3\n\
    switch: 3@wp_page_copy.pte_same#1 -> 2\n";

/// After each part of a woven run both managers are shown, and what differs is framed: in red where
/// nobody is in the middle of a call.
#[test]
fn a_woven_run_has_both_managers_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let page = shown(&folder, LOST, "--html --defect a4-fork-without-bracket");
    for side in ["reference", "candidate"] {
        let figures = page.matches(&format!("<figure class=\"{side}\"")).count();
        assert_eq!(figures, 7, "one after each of 6 calls, one at the end");
    }
    has(
        &page,
        &[
            "<li class=\"passing\">",
            "<li class=\"offends\">",
            "class=\"wrong\"",
            "+0x0=1 +0x1=3 +0x2=2",
        ],
    );
    let agreeing = shown(&folder, LOST, "--html");
    assert!(!agreeing.contains("<li class=\"differs\">"), "{agreeing}");
    assert!(!agreeing.contains("<li class=\"offends\">"), "{agreeing}");
}

#[test]
fn a_browser_shows_it_and_says_what_is_tapped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("page.html");
    let page = shown(&folder, SERIAL, &format!("--html --defect {DEFECT}"));
    std::fs::write(&path, page.replace("</body>", &format!("{PROBE}</body>"))).unwrap();
    let Some(seen) = in_browser(&path) else {
        eprintln!("no Chromium here: the page was not looked at");
        return;
    };
    let probe = "tip=1. mmap(NULL, 0x2000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, 3, 0) = \
        0x20e000 wide=false shown=true";
    has(&seen, &[probe]);
}

#[test]
fn the_timeline_alone_is_an_image() {
    let folder = tempfile::tempdir().unwrap();
    let image = shown(&folder, WOVEN, "--svg");
    assert!(
        image.starts_with("<svg class=\"timeline\" xmlns="),
        "{image}"
    );
    has(
        &image,
        &[
            "<style>",
            "prefers-color-scheme: dark",
            "class=\"t switch\"",
        ],
    );
    stands_alone(&image);
}

#[test]
fn as_text_it_is_a_map_after_each_call() {
    let folder = tempfile::tempdir().unwrap();
    let text = shown(&folder, SERIAL, &format!("--defect {DEFECT}"));
    has(
        &text,
        &[
            "\n   AA         1  mmap(NULL",
            "\n  AAA         4  mmap(NULL",
            "divergence:",
        ],
    );
}

/// Each line of the schedule has its arrow, and each stretch in which a thread ran is drawn.
#[test]
fn every_switch_has_its_arrow() {
    let race = include_str!("../corpus/races/always-writable.vma");
    let folder = tempfile::tempdir().unwrap();
    let page = shown(&folder, race, "--html --defect a25-wrong-segv");
    let (_, timeline) = page.split_once("class=\"timeline\"").expect("a timeline");
    let (timeline, _) = timeline.split_once("</svg>").expect("its end");
    let lines = race
        .lines()
        .filter(|line| line.starts_with("switch:"))
        .count();
    let arrows = timeline.matches("class=\"t switch\"").count();
    assert!(
        lines == 4 && arrows >= lines,
        "{arrows} arrows for {lines} switches"
    );
    // Task 2's call is left twice: it runs in three stretches.
    let (_, store) = timeline
        .split_once("10. store(")
        .expect("the call that is left");
    let (store, _) = store.split_once("</g>").expect("its end");
    assert_eq!(store.matches("class=\"runs\"").count(), 3, "{store}");
}
