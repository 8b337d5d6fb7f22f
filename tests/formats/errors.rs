//! All that is wrong with a text is told, up to a bound.

use vmadiff::program::Case;

#[track_caller]
fn told(text: &str) -> String {
    Case::parse("a.vma", text).unwrap_err().to_string()
}

#[test]
fn every_wrong_line_is_told() {
    let text = "munmap(0x1000, 1q)\nmunmap(0x1000, 1p)\nmumap(0x1000, 1p)\nload(1) = 0x\n";
    let told = told(text);
    let places: Vec<&str> = told
        .lines()
        .filter(|line| line.starts_with("a.vma:"))
        .collect();
    let starts = [
        "a.vma:1:16: expected",
        "a.vma:3:1: expected",
        "a.vma:4:11: expected",
    ];
    assert_eq!(places.len(), starts.len(), "{told}");
    for (place, start) in places.iter().zip(starts) {
        assert!(place.starts_with(start), "{told}");
    }
}

#[test]
fn many_errors_are_counted() {
    let told = told(&"nothing\n".repeat(40));
    assert_eq!(told.matches("a.vma:").count(), 10, "{told}");
    assert!(told.ends_with("30 more errors"), "{told}");
}

#[test]
fn a_line_that_is_repeated_is_told_once() {
    let told = told("repeat 100:\n  load(x)\n  load(y)\nend\n");
    assert_eq!(told.matches("a.vma:").count(), 2, "{told}");
}

#[test]
fn numbers_may_stand_in_parentheses() {
    let text = "let base = 0x400000\nload((base + 2*(1+3))*2-(0x10))\n";
    let case = Case::parse("a.vma", text).unwrap();
    assert_eq!(case.to_string(), "load(0x800000)\n");
    let told_of = |text: &str| told(text).lines().next().unwrap().to_owned();
    assert_eq!(
        told_of("load((1+2)"),
        "a.vma:1:11: expected `)`, found the end of the line"
    );
    assert_eq!(
        told_of("load((1+2"),
        "a.vma:1:10: expected `)`, found the end of the line"
    );
    let deep = format!("load({}1{})", "(".repeat(100), ")".repeat(100));
    assert!(told_of(&deep).contains("at most 32 parentheses"));
}
