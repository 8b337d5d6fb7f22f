//! How fuzzing engines take programs: through [`Arbitrary`], by the one decoder.
//!
//! The engines call it differently (`arbitrary` or `arbitrary_take_rest`), so both take all the
//! bytes there are, and an artifact means the same to each of them and to `vmadiff run`.

use std::fmt;

use arbitrary::{Arbitrary, Error, Result, Unstructured};

use super::{Program, bytes};

impl<'a> Arbitrary<'a> for Program {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let bytes = u.bytes(u.len())?;
        decode_bounded(bytes)
    }

    fn arbitrary_take_rest(u: Unstructured<'a>) -> Result<Self> {
        decode_bounded(u.take_rest())
    }

    fn size_hint(_depth: usize) -> (usize, Option<usize>) {
        (0, None)
    }
}

/// An engine's input must be bounded in time; traces of real programs are not.
fn decode_bounded(bytes: &[u8]) -> Result<Program> {
    if bytes::is_long(bytes) {
        return Err(Error::IncorrectFormat);
    }
    Ok(Program::decode(bytes))
}

/// A program whose `Debug` is its text, for `cargo fuzz fmt` and crash logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Input(pub Program);

impl Input {
    /// What engines without [`Arbitrary`] run; `None` for what none of them runs.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        decode_bounded(bytes).ok().map(Self)
    }
}

impl<'a> Arbitrary<'a> for Input {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Program::arbitrary(u).map(Self)
    }

    fn arbitrary_take_rest(u: Unstructured<'a>) -> Result<Self> {
        Program::arbitrary_take_rest(u).map(Self)
    }

    fn size_hint(depth: usize) -> (usize, Option<usize>) {
        Program::size_hint(depth)
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
