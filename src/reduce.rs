//! Which inputs of a corpus a fuzzing engine needs: those that reach something, or reach it more
//! often, than all others that are kept.
//!
//! This is what libFuzzer's merge does, by the counters that `vmadiff fuzz` gives it: given inputs
//! by size, the smallest stays that moves a counter in a magnitude. Unlike [`distill`], it keeps
//! inputs as they are.
//!
//! [`distill`]: crate::distill

/// What the inputs that are kept so far reach.
///
/// ```
/// use vmadiff::reduce::Reached;
///
/// let mut reached = Reached::default();
/// assert!(reached.adds(&[1, 0]));
/// assert!(!reached.adds(&[1, 0]), "nothing new");
/// assert!(reached.adds(&[9, 0]), "more often");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Reached {
    /// A bit for each magnitude of each counter.
    magnitudes: Vec<u8>,
    features: usize,
}

impl Reached {
    /// Takes in what an input reached; whether there was anything new.
    pub fn adds(&mut self, counters: &[u8]) -> bool {
        if self.magnitudes.len() < counters.len() {
            self.magnitudes.resize(counters.len(), 0);
        }
        let before = self.features;
        for (seen, &count) in self.magnitudes.iter_mut().zip(counters) {
            let bit = magnitude(count);
            self.features += usize::from(bit & !*seen != 0);
            *seen |= bit;
        }
        self.features != before
    }

    /// Counters, each in each magnitude.
    pub fn features(&self) -> usize {
        self.features
    }
}

/// The magnitudes that libFuzzer tells apart: 1, 2, 3, from 4, 8, 16, 32 and 128 on, a bit each.
fn magnitude(count: u8) -> u8 {
    match count {
        0 => 0,
        1 => 1,
        2 => 2,
        3 => 4,
        4..8 => 8,
        8..16 => 16,
        16..32 => 32,
        32..128 => 64,
        128.. => 128,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_counts_once_in_each_magnitude() {
        let mut reached = Reached::default();
        let new = (0..=255).filter(|&count| reached.adds(&[count]));
        assert_eq!(new.collect::<Vec<_>>(), [1, 2, 3, 4, 8, 16, 32, 128]);
        assert_eq!(reached.features(), 8);
    }

    #[test]
    fn inputs_may_reach_further_counters() {
        let mut reached = Reached::default();
        assert!(reached.adds(&[1]));
        assert!(!reached.adds(&[1, 0, 0]));
        assert!(reached.adds(&[0, 0, 7]));
        assert_eq!(reached.features(), 2);
    }
}
