//! Names near one that was mistyped.

/// Names this alike are worth mentioning (Jaro-Winkler, 1 is equal).
const NEAR: f64 = 0.75;
/// Names that are mentioned.
const NAMES_MAX: usize = 5;

/// The nearest names, as a list for a sentence; none is near: nothing.
pub fn near<'a>(name: &str, all: impl Iterator<Item = &'a str>) -> Option<String> {
    let alike = all.map(|known| (strsim::jaro_winkler(name, known), known));
    let mut near: Vec<(f64, &str)> = alike
        .filter(|(likeness, known)| *likeness >= NEAR || known.contains(name))
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    let names: Vec<&str> = near.iter().take(NAMES_MAX).map(|(_, name)| *name).collect();
    (!names.is_empty()).then(|| names.join(", "))
}
