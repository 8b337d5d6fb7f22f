//! A program as a Rust test, to paste into a project that has `vmadiff` as a dependency.

use std::fmt::Write;

use vmadiff::designs::{self, Planted};
use vmadiff::program::Case;

/// The test; it fails as long as the managers diverge.
pub fn rust_test(stem: &str, case: &Case, planted: &Planted) -> String {
    let mut out = String::new();
    write(&mut out, stem, case, planted).expect("a String takes all");
    out
}

fn write(out: &mut String, stem: &str, case: &Case, planted: &Planted) -> std::fmt::Result {
    writeln!(out, "#[test]\nfn {}() {{", identifier(stem))?;
    writeln!(out, "    let text = r#\"")?;
    // What Rust's raw strings end with is in no program text, but may be in a comment.
    write!(out, "{}", case.to_string().replace("\"#", "\" #"))?;
    writeln!(out, "\"#;")?;
    if !designs::are_own() {
        let name = planted.design().name;
        writeln!(
            out,
            "    // `compared` makes what `main` has the command of, for the manager `{name}`."
        )?;
        return writeln!(out, "    compared().check(text);\n}}");
    }
    writeln!(
        out,
        "    let case = vmadiff::program::Case::parse({stem:?}, text).unwrap();"
    )?;
    let (design, names) = (planted.design().name, planted.defects());
    writeln!(
        out,
        "    let design = vmadiff::designs::from_name({design:?}).unwrap();"
    )?;
    writeln!(out, "    let defects: [&str; {}] = {names:?};", names.len())?;
    writeln!(
        out,
        "    let planted = vmadiff::designs::Planted::new(design, &defects).unwrap();"
    )?;
    out.push_str(
        "    let ran = vmadiff::pair::pair(&planted).observe_twice(&case.program);\n    \
         assert_eq!(ran.verdict, vmadiff::judge::Verdict::Agree);\n    \
         for seen in [&ran.reference, &ran.candidate] {\n        \
         assert_eq!(vmadiff::expect::unmet(&case, seen), []);\n    }\n}\n",
    );
    Ok(())
}

/// A name for a function out of a file's.
fn identifier(stem: &str) -> String {
    let keep = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '_'
        }
    };
    let name: String = stem.chars().map(keep).collect();
    if name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        name
    } else {
        format!("program_{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_file_name_makes_a_function() {
        assert_eq!(identifier("state-mmap-vmas.pgoff"), "state_mmap_vmas_pgoff");
        assert_eq!(identifier("0f3a"), "program_0f3a");
        assert_eq!(identifier(""), "program_");
    }
}
