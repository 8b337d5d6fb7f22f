//! The races that were written for a design, and the defect that each is about: design, race, defect.

/// By design, and then by race.
pub const ABOUT: &[(&str, &str, &str)] = &[];
