//! Counts as people read them: `1 program`, `2 programs`.

/// A count with the noun of what is counted, which is given as it is for one.
pub fn counted(count: usize, noun: &str) -> String {
    format!("{count} {}", noun_for(count as u64, noun))
}

/// The form of a noun for so many.
pub fn noun_for(count: u64, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{noun}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        assert_eq!(counted(0, "program"), "0 programs");
        assert_eq!(counted(1, "program"), "1 program");
        assert_eq!(counted(2, "program"), "2 programs");
        assert_eq!(noun_for(1, "new input"), "new input");
    }
}
