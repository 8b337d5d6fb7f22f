//! Arguments of single calls: towards one page, the window's start, few flags.

use vmadiff_contract::{Config, PAGE_SIZE};

use super::{Attempt, Shrinker, halving};
use crate::program::Program;
use crate::program::shape::{Param, build, params, words};

/// Cost of an argument that is odd in its kind: not of whole pages, or out of the window.
const ODD: u64 = 1 << 62;

impl<A: FnMut(&Program) -> Attempt> Shrinker<A> {
    /// Makes arguments plainer, one at a time.
    pub(super) fn arguments(&mut self) -> bool {
        let mut changed = false;
        for index in 0..self.best.calls.len() {
            let kind = self.best.calls[index].call.kind();
            for (place, param) in params(kind).iter().enumerate() {
                while self.argument(index, place, *param) {
                    changed = true;
                }
            }
        }
        changed
    }

    /// Makes one argument plainer, by one step.
    fn argument(&mut self, index: usize, place: usize, param: Param) -> bool {
        let call = self.best.calls[index].call;
        let old = words(&call)[place];
        plainer(param, old).into_iter().any(|new| {
            self.change(|program| {
                let mut arguments = words(&call);
                arguments[place] = new;
                program.calls[index].call = build(call.kind(), &arguments);
            })
        })
    }
}

/// Values that cost less, the most radical first.
fn plainer(param: Param, old: u64) -> Vec<u64> {
    let page = old & !(PAGE_SIZE - 1);
    let lower = |value: u64, least: u64| {
        halving(value.saturating_sub(least)).map(move |distance| value - distance)
    };
    let mut values = match param {
        Param::Addr => [Config::WINDOW, page]
            .into_iter()
            .chain(lower(page, Config::WINDOW))
            .collect(),
        Param::Len => {
            let whole = old.div_ceil(PAGE_SIZE).saturating_mul(PAGE_SIZE);
            [PAGE_SIZE, whole]
                .into_iter()
                .chain(lower(whole, PAGE_SIZE))
                .collect()
        }
        Param::Limit => [u64::MAX, page].to_vec(),
        Param::Off => [0, page].into_iter().chain(lower(page, 0)).collect(),
        Param::Value => vec![1],
        Param::Fd => vec![3, u64::MAX],
        Param::FileKind | Param::Advice | Param::Mode => vec![0],
        Param::Resource => vec![9],
        Param::Access => vec![3],
        Param::Nodes
        | Param::Prot
        | Param::MapFlags
        | Param::MoveFlags
        | Param::LockFlags
        | Param::LockAllFlags
        | Param::SyncFlags
        | Param::PolicyFlags
        | Param::QueryFlags
        | Param::FallocFlags => (0..64).rev().map(|bit| old & !(1 << bit)).collect(),
    };
    let limit = cost(param, old);
    values.retain(|value| cost(param, *value) < limit);
    values
}

/// How far an argument is from the plainest of its kind.
fn cost(param: Param, value: u64) -> u64 {
    let odd = |is_odd: bool| if is_odd { ODD } else { 0 };
    let off_page = odd(!value.is_multiple_of(PAGE_SIZE));
    match param {
        Param::Addr => {
            let below = odd(value < Config::WINDOW);
            below + off_page + (value.saturating_sub(Config::WINDOW) / 4).min(ODD)
        }
        Param::Len if value == 0 => ODD,
        Param::Len => off_page + (value / 4).min(ODD),
        Param::Off => off_page + (value / 4).min(ODD),
        Param::Value => value.abs_diff(1),
        Param::Fd => match value as i32 {
            3 => 0,
            -1 => 1,
            other => 2 + u64::from(other.unsigned_abs()),
        },
        Param::FileKind | Param::Advice | Param::Mode => value,
        Param::Access => u64::from(value != 3),
        _ => value.count_ones().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shrinking ends because every step costs less.
    #[test]
    fn each_step_costs_less() {
        let values = [
            0,
            1,
            3,
            4096,
            4097,
            0x1f_0000,
            0x1f_3008,
            1 << 47,
            u64::MAX - 4095,
            u64::MAX,
        ];
        for param in [
            Param::Addr,
            Param::Len,
            Param::Off,
            Param::Value,
            Param::Fd,
            Param::Prot,
        ] {
            for value in values {
                for new in plainer(param, value) {
                    assert!(
                        cost(param, new) < cost(param, value),
                        "{param:?} {value:#x} {new:#x}"
                    );
                }
            }
        }
    }
}
