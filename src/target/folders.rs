//! Folders that libFuzzer writes to: where it cannot, it keeps nothing, and does not say so.

use std::fs::{File, remove_file};
use std::io;
use std::path::Path;

/// Warns on standard error of folders among libFuzzer's arguments that cannot be written to: the first
/// folder, to which new inputs go, and that of `-artifact_prefix`.
pub fn check_folders(arguments: impl IntoIterator<Item = String>) {
    for warning in warnings(arguments) {
        eprintln!("warning: {warning}");
    }
}

fn warnings(arguments: impl IntoIterator<Item = String>) -> Vec<String> {
    let (mut inputs, mut crashes, mut runs) = (None, None, true);
    for argument in arguments {
        if let Some(prefix) = argument.strip_prefix("-artifact_prefix=") {
            let end = prefix.rfind('/').map_or(0, |slash| slash + 1);
            crashes = Some(prefix[..end].to_owned());
        } else if argument == "-runs=0" {
            runs = false;
        } else if inputs.is_none() && !argument.starts_with('-') {
            inputs = Some(argument);
        }
    }
    // Inputs that are only read may stand anywhere.
    let inputs = inputs.filter(|folder| runs && Path::new(folder).is_dir());
    let of = |folder: Option<String>, lost: &str| {
        let folder = folder.filter(|folder| !folder.is_empty())?;
        let error = write_to(Path::new(&folder)).err()?;
        Some(format!("{folder}: cannot be written to: {error}; {lost}"))
    };
    let inputs = of(inputs, "libFuzzer keeps no input");
    let crashes = of(crashes, "libFuzzer keeps no crash");
    inputs.into_iter().chain(crashes).collect()
}

/// Makes a file in a folder, and takes it away again.
fn write_to(folder: &Path) -> io::Result<()> {
    let file = folder.join(format!(".vmadiff-{}", std::process::id()));
    File::create(&file)?;
    remove_file(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn what_cannot_be_written_to_is_named() {
        // Nobody makes a file there, root neither.
        const NOT: &str = "/proc/self";
        let warned = |arguments: &[&str]| warnings(arguments.iter().map(ToString::to_string));
        let here = std::env::temp_dir().display().to_string();
        assert!(warned(&["--", "-seed=1", &here, NOT]).is_empty());
        let inputs = warned(&["--", "-seed=1", NOT, &here]);
        assert!(inputs[0].starts_with("/proc/self: cannot be written to: No such file"));
        assert!(inputs[0].ends_with("libFuzzer keeps no input") && inputs.len() == 1);
        assert!(warned(&["-runs=0", NOT]).is_empty());
        assert!(warned(&["/proc/self/status"]).is_empty(), "an input to run");
        let crashes = warned(&["-artifact_prefix=/proc/self/found-", &here]);
        assert!(crashes[0].starts_with("/proc/self/: cannot") && crashes.len() == 1);
        assert!(warned(&["-artifact_prefix=found-"]).is_empty());
    }
}
