//! Trimming: leave out one record after another, and keep what does as much without it.

use crate::program::Program;
use crate::program::bytes::{HEADER, RECORD};

/// An input that is being trimmed. A step leaves out one record, the last first: what comes early
/// is what the rest stands on.
#[derive(Default)]
pub struct Trim {
    /// What did as much as the input so far.
    best: Vec<u8>,
    /// Records not tried yet: those before this one.
    left: usize,
    steps: usize,
}

impl Trim {
    /// Begins with what decoding keeps of the input.
    pub fn of(input: &[u8]) -> Self {
        let best = Program::decode(input).encode();
        let left = best.len().saturating_sub(HEADER) / RECORD;
        Self {
            best,
            left,
            steps: left,
        }
    }

    /// How many steps there are in all.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The input of the next step.
    pub fn smaller(&self) -> Vec<u8> {
        let mut bytes = self.best.clone();
        if let Some(record) = self.left.checked_sub(1) {
            let start = HEADER + RECORD * record;
            bytes.drain(start..start + RECORD);
        }
        bytes
    }

    /// Ends a step: whether the smaller input did as much. How many steps are done.
    pub fn settle(&mut self, did_as_much: bool) -> usize {
        if did_as_much {
            self.best = self.smaller();
        }
        self.left = self.left.saturating_sub(1);
        self.steps - self.left
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::mutate::{Profile, generate};

    fn trimmed(input: &[u8], does_as_much: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let mut trim = Trim::of(input);
        let mut done = 0;
        while done < trim.steps() {
            let keeps = does_as_much(&trim.smaller());
            done = trim.settle(keeps);
        }
        trim.best
    }

    #[test]
    fn what_is_needed_stays_and_nothing_else() {
        let input = generate(4, &Profile::default()).encode();
        let mmaps = |bytes: &[u8]| {
            let text = Program::decode(bytes).to_string();
            text.matches("mmap(").count()
        };
        let before = mmaps(&input);
        assert!(before > 0 && Program::decode(&input).calls.len() > before);
        let small = trimmed(&input, |bytes| mmaps(bytes) == before);
        assert_eq!(small.len(), HEADER + RECORD * before);
    }

    #[test]
    fn an_input_without_records_takes_no_steps() {
        assert_eq!(Trim::of(&[]).steps(), 0);
        assert_eq!(Trim::of(&[0; HEADER + 5]).steps(), 0);
    }
}
