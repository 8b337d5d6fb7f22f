//! How long it takes until something is found, of tries some of which found nothing.
//!
//! A try that found nothing until its time was over is *censored*: it says that it would have taken
//! longer. All are given the same time, so in an ordered row they come last, and the median and its
//! interval are read off that row without any assumption about how the times are distributed.

use serde::{Deserialize, Serialize};

/// A middle, and between which two numbers that of all possible tries is, at 95 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Median {
    /// Half of the tries found it in no more; none: fewer than half of them found it.
    pub median: Option<f64>,
    /// The lower end; none: there are too few tries for an interval.
    pub low: Option<f64>,
    /// The upper end; none: too few tries, or too few that found it.
    pub high: Option<f64>,
}

/// Of tries, each with what it took, or none if it found nothing.
pub fn median(tries: impl IntoIterator<Item = Option<f64>>) -> Median {
    let all: Vec<Option<f64>> = tries.into_iter().collect();
    let mut found: Vec<f64> = all.iter().copied().flatten().collect();
    found.sort_by(f64::total_cmp);
    let nth = |rank: usize| found.get(rank).copied();
    let rank = rank_at_95(all.len());
    Median {
        median: nth(all.len() / 2),
        low: rank.and_then(nth),
        high: rank.and_then(|rank| nth(all.len() - 1 - rank)),
    }
}

/// How far from both ends of a row of so many the interval begins: that many are on the wrong side of
/// the true median in at most one of forty rows, for each side (the sign test).
fn rank_at_95(tries: usize) -> Option<usize> {
    let mut share = 0.5_f64.powi(i32::try_from(tries).ok()?);
    let mut below = share;
    let mut rank = None;
    for k in 0..tries {
        if below > 0.025 {
            break;
        }
        rank = Some(k);
        share *= (tries - k) as f64 / (k + 1) as f64;
        below += share;
    }
    rank
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_that_found_nothing_count_as_longer() {
        let row = |found: &[f64], nothing: usize| {
            let found = found.iter().copied().map(Some);
            median(found.chain(std::iter::repeat_n(None, nothing)))
        };
        let of = |median, low, high| Median { median, low, high };
        assert_eq!(row(&[3.0, 1.0, 2.0], 0), of(Some(2.0), None, None));
        assert_eq!(row(&[1.0, 2.0], 3), of(None, None, None));
        let ten: Vec<f64> = (1..=10).map(f64::from).collect();
        assert_eq!(row(&ten, 0), of(Some(6.0), Some(2.0), Some(9.0)));
        assert_eq!(row(&ten[..8], 2), of(Some(6.0), Some(2.0), None));
        assert_eq!(row(&ten[..1], 9), of(None, None, None));
        assert_eq!(row(&[], 0), of(None, None, None));
    }

    /// As in tables of the sign test.
    #[test]
    fn intervals_are_those_of_the_sign_test() {
        let known = [
            (5, None),
            (6, Some(0)),
            (9, Some(1)),
            (10, Some(1)),
            (20, Some(5)),
            (30, Some(9)),
        ];
        assert_eq!(known.map(|(tries, _)| (tries, rank_at_95(tries))), known);
    }
}
