//! Times that strace writes at the beginning of a line, and how long a call took.

/// Nanoseconds: of the day, since 1970, or of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Nanos(pub u128);

/// The least seconds since 1970 that are taken for such: 1973. What is smaller is the time since
/// the line before.
const FIRST_SECOND: u64 = 100_000_000;

/// The largest number that a process can have is 2^22.
const LAST_PID: u64 = 1 << 22;

const PER_SECOND: u128 = 1_000_000_000;

impl Nanos {
    /// One day.
    pub const DAY: Self = Self(86_400 * PER_SECOND);

    /// `12` or `12.000034`.
    pub fn seconds(text: &str) -> Option<Self> {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !is_digits(whole) || !is_digits(part) || part.len() > 9 {
            return None;
        }
        let whole = u128::from(whole.parse::<u64>().ok()?) * PER_SECOND;
        let part: u128 = format!("{part:0<9}").parse().ok()?;
        Some(Self(whole + part))
    }

    /// `13:05:59` or `13:05:59.000034`.
    fn of_day(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let mut number = || parts.next()?.parse::<u8>().ok().map(u64::from);
        let (hours, minutes) = (number()?, number()?);
        let Self(seconds) = Self::seconds(parts.next()?)?;
        Some(Self(
            u128::from(hours * 3600 + minutes * 60) * PER_SECOND + seconds,
        ))
    }
}

/// What one word at the beginning of a line is, if it is a time.
pub(super) enum Stamp {
    /// The time of day or since 1970.
    Absolute(Nanos),
    /// The time of day or since 1970 without a fraction: many lines have the same.
    Coarse,
    /// The time since the line before, or something that looks like it.
    Relative,
}

/// Reads a word. A number without a point is a time only where it can be no process.
pub(super) fn stamp(word: &str) -> Option<Stamp> {
    let plain = !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    if plain {
        let is_pid = word.parse().is_ok_and(|number: u64| number <= LAST_PID);
        return (!is_pid).then_some(Stamp::Coarse);
    }
    if !word
        .bytes()
        .all(|b| b.is_ascii_digit() || b == b':' || b == b'.')
        || !word.bytes().any(|b| b.is_ascii_digit())
    {
        return None;
    }
    let absolute = Nanos::of_day(word).or_else(|| {
        let since = Nanos::seconds(word)?;
        (since.0 >= u128::from(FIRST_SECOND) * PER_SECOND).then_some(since)
    });
    if absolute.is_none() && Nanos::seconds(word).is_none() {
        return None;
    }
    Some(match absolute {
        Some(time) if word.contains('.') => Stamp::Absolute(time),
        Some(_) => Stamp::Coarse,
        None => Stamp::Relative,
    })
}
