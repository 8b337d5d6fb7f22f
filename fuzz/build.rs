//! Refuses targets that AddressSanitizer would misunderstand.

/// What says that the code is for AddressSanitizer.
const SANITIZED: &str = "-Zsanitizer=address";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    let flags = std::env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let sanitized = flags.replace("-Z\u{1f}", "-Z").contains(SANITIZED);
    if sanitized && std::env::var_os("CARGO_FEATURE_ASAN").is_none() {
        println!(
            "cargo::error=AddressSanitizer has to be told of logical threads: \
             add `--features asan`"
        );
    }
}
