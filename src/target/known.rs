//! Signatures that are no news: lists of them as people write them, and where a target finds its
//! own.

use std::collections::BTreeSet;
use std::path::Path;

use crate::judge::Rule;
use crate::program::form::{NotUtf8, utf8};
use crate::program::sites::Sites;

/// Names a file of signatures that a target is to pass over.
pub const VARIABLE: &str = "VMADIFF_KNOWN";

/// Reads a list of signatures from a text: one a line, `#` starts a comment.
///
/// # Errors
/// The first line that is none: `name:line: found …, expected …`.
pub fn parse(name: &str, text: &str) -> Result<Vec<String>, String> {
    let mut known = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let signature = line.split('#').next().unwrap_or_default().trim();
        if signature.is_empty() {
            continue;
        }
        let parts: Vec<&str> = signature.split('/').collect();
        // Who hangs is found by who watches, and not by a rule.
        let rule_exists =
            ["hang", "linux"].contains(&parts[0]) || Rule::from_name(parts[0]).is_some();
        let torn = |part: &&str| {
            part.is_empty() || part.contains(|c: char| c.is_whitespace() || c.is_control())
        };
        if parts.len() != 3 || parts.iter().any(torn) || !rule_exists {
            return Err(format!(
                "{name}:{}: found `{signature}`, expected a signature such as `outcome/munmap/value`",
                index + 1,
            ));
        }
        // A field may be the name of a point in the code, which had another once.
        let field = Sites::known().today(parts[2]);
        known.push([parts[0], parts[1], field].join("/"));
    }
    Ok(known)
}

/// What this process is to pass over: the file that [`VARIABLE`] names, and one beside the program
/// with `.known` behind its name, which is how a service is told, where no variable reaches it.
///
/// # Errors
/// If a file holds anything else, or the one that is named cannot be read: which, and why.
pub(super) fn of_this_process() -> Result<BTreeSet<String>, String> {
    let mut known = BTreeSet::new();
    if let Some(file) = std::env::var_os(VARIABLE) {
        if file.is_empty() {
            let expected = "expected the name of a file of signatures, or to be unset";
            return Err(format!("{VARIABLE}: found nothing, {expected}"));
        }
        known.extend(read(VARIABLE, Path::new(&file))?);
    }
    let beside = std::env::current_exe().ok().map(|mut program| {
        program.as_mut_os_string().push(".known");
        program
    });
    if let Some(file) = beside.filter(|file| file.exists()) {
        known.extend(read("beside the program", &file)?);
    }
    Ok(known)
}

/// Reads a list; `whence` says how the file was named.
fn read(whence: &str, file: &Path) -> Result<Vec<String>, String> {
    let name = format!("{whence}: {}", file.display());
    let bytes = std::fs::read(file).map_err(|error| format!("{name}: {error}"))?;
    parse_bytes(&name, &bytes)
}

/// As [`parse`], of what a file holds.
///
/// # Errors
/// As [`parse`], and the first byte that is no UTF-8.
pub fn parse_bytes(name: &str, bytes: &[u8]) -> Result<Vec<String>, String> {
    // As editors of Windows write it.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = utf8(bytes).map_err(|NotUtf8 { line, byte, .. }| {
        format!("{name}:{line}: found the byte {byte:#04x}, expected UTF-8 in a list of signatures")
    })?;
    parse(name, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_no_signature_is_named() {
        let good = "# open bugs\nstate/mmap/vmas.pgoff # since May\n\nlinux/mmap/value\n";
        assert_eq!(
            parse("k", good),
            Ok(vec![
                "state/mmap/vmas.pgoff".to_owned(),
                "linux/mmap/value".to_owned()
            ])
        );
        for bad in [
            "state/mmap",
            "states/mmap/value",
            "state/mmap/value/more",
            "state/mmap/value since May",
            "state//value",
        ] {
            let error = parse("k", &format!("\n{bad}\n")).unwrap_err();
            assert!(error.starts_with(&format!("k:2: found `{bad}`, expected")));
        }
    }
}
