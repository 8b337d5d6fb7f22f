//! Looks for an order that explains a run, beginning with that of the marks and changing what an
//! objection is about.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use vmadiff_contract::Replay;

use super::order::{self, Order};
use super::replay::{Objection, Replayer, Trial};
use crate::judge::Rule;

/// What one search costs at most, in parts about one page that are replayed.
const PATIENCE: usize = 240_000;

/// What a search came to.
pub enum Found {
    /// An order without objections.
    Order(Order),
    /// None.
    Nothing(Left),
}

/// What is objected to if no order explains a run.
pub struct Left {
    /// In the order of the marks.
    pub natural: Vec<Objection>,
    /// In the one that explains the most.
    pub best: Vec<Objection>,
}

/// Orders that were tried, the best one first: fewest objections and changes together, so that many
/// changes that help little do not keep from few that explain all; fewest objections; oldest.
#[derive(Default)]
struct Frontier {
    queue: BinaryHeap<Reverse<(usize, usize, usize)>>,
    tried: Vec<(Order, Vec<Objection>)>,
    seen: BTreeSet<Vec<u8>>,
}

impl Frontier {
    fn push(&mut self, changes: usize, order: Order, objections: Vec<Objection>) {
        let (left, next) = (objections.len(), self.tried.len());
        self.queue.push(Reverse((left + changes, left, next)));
        self.tried.push((order, objections));
    }

    /// What is left, the first order being that of the marks.
    fn left(self, best: usize) -> Left {
        Left {
            natural: self.tried[0].1.clone(),
            best: self.tried[best].1.clone(),
        }
    }

    /// Whether an order replays in a way that was not tried yet.
    fn is_new(&mut self, order: &Order, sorted: &[usize]) -> bool {
        let bytes = sorted.iter().flat_map(|&i| {
            let how = order[i].lender as u8 | (order[i].serves as u8) << 4;
            [i as u8, (i >> 8) as u8, how]
        });
        self.seen.insert(bytes.collect())
    }
}

/// Searches; the same run gives the same answer, always.
pub fn search(
    replayer: &mut Replayer,
    trial: &Trial<'_>,
    reference: &mut dyn Replay,
    natural: &Order,
) -> Found {
    let mut frontier = Frontier::default();
    let (mut sorted, mut moves) = (Vec::new(), Vec::new());
    order::sorted(natural, &mut sorted);
    frontier.is_new(natural, &sorted);
    if replayer.run(trial, reference, &sorted, natural, false) {
        return Found::Order(natural.clone());
    }
    frontier.push(0, natural.clone(), replayer.objections.clone());
    let whole = trial.parts.list.iter().map(|part| trial.cost(part));
    let whole = whole.sum::<usize>() + trial.cost_of_state();
    let (mut spent, mut best) = (0, 0);
    while let Some(Reverse((sum, before, at))) = frontier.queue.pop() {
        if frontier.tried[at].1.len() < frontier.tried[best].1.len() {
            best = at;
        }
        let order = frontier.tried[at].0.clone();
        for x in suspects(trial, &frontier.tried[at].1) {
            order::moves(trial, &order, x, &mut moves);
            let mut better = false;
            for &change in &moves {
                let mut changed = order.clone();
                order::apply(trial.parts, &mut changed, x, change);
                order::sorted(&changed, &mut sorted);
                if !order::respects_time(trial.parts, &changed, x) {
                    continue;
                }
                if !frontier.is_new(&changed, &sorted) {
                    continue;
                }
                if replayer.run(trial, reference, &sorted, &changed, false) {
                    return Found::Order(changed);
                }
                spent += whole;
                better |= replayer.objections.len() < before;
                frontier.push(sum - before + 1, changed, replayer.objections.clone());
            }
            if better && spent <= PATIENCE {
                // It is followed first; the changes of other parts, maybe thousands, come later.
                frontier.queue.push(Reverse((sum, before, at)));
                break;
            }
            if spent > PATIENCE {
                return Found::Nothing(frontier.left(best));
            }
        }
    }
    Found::Nothing(frontier.left(best))
}

/// All parts, those that the first objection is about first. Which anon_vma an area has is the doing of
/// those that brought one.
fn suspects(trial: &Trial<'_>, objections: &[Objection]) -> Vec<usize> {
    let list = &trial.parts.list;
    let mut all: Vec<_> = (0..list.len()).collect();
    let Some(first) = objections.first() else {
        return all;
    };
    let about_anon = first.rule == Rule::State && first.field.contains("anon");
    all.sort_by_cached_key(|&i| {
        let itself = first.part == Some(i);
        let same = first.page.is_some() && list[i].page == first.page;
        let brought = about_anon && trial.parts.took_fresh_anon(&list[i]);
        (!itself, !same && !brought, i)
    });
    all
}
