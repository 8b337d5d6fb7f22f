//! What a mark tells, and what its step did.

use vmadiff_contract::{
    About, Choice, FileId, Mark, Offer, PageState, StepKind, Stepped, Told, VmaId,
};

use super::super::told::entry_text;
use super::{Done, Followed, Follower, Pending};
use crate::judge::Rule;

impl Follower {
    /// What a mark tells, and what the step did.
    pub(super) fn compare(
        &mut self,
        reference: &mut dyn Stepped,
        call: usize,
        done: &Done,
        mark: &Mark,
    ) -> Followed {
        let offer = Some(done.offer);
        // What was read may be told apart from that it refused.
        let segv = done.offer.list == "fault" && done.offer.row == 0;
        // A stack that grew does not allow the access, which is known since before it did.
        let grew = done.offer.list == "fault" && mark.kind == StepKind::Resize;
        let undoing = self.calls[call].refusal_told;
        let read = done.refused && (mark.kind == StepKind::Decide && !segv || grew || undoing);
        let refused = mark.told == Told::Refused;
        if done.refused != refused && mark.kind != StepKind::Allocate && !read {
            let (ours, theirs) = if done.refused {
                ("refuses", "goes on")
            } else {
                ("goes on", "refuses")
            };
            let what = format!(
                "the reference {ours} at: {}; the candidate {theirs}",
                done.offer.what
            );
            return Err(self.object(Rule::FaultUnexplained, "refused", offer, what));
        }
        match mark.told {
            Told::Entry { before, after } => self.compare_entry(done, mark, before, after)?,
            Told::Flags(theirs) => {
                if let About::Area(vma) = mark.about
                    && let Some(vma) = self.names.vmas.get(vma.0)
                {
                    let about = About::Area(VmaId(vma));
                    reference.observe(about, &mut self.ours);
                    let ours = self.ours.vmas.first().map(|area| area.flags);
                    if ours.is_some_and(|ours| ours != theirs) {
                        let what = format!(
                            "the flags of #{vma} are {ours:?} in the reference, {theirs:?} in the \
                             candidate, at: {}",
                            done.offer.what
                        );
                        return Err(self.object(Rule::State, "flags", offer, what));
                    }
                }
            }
            Told::Number(theirs) => {
                self.compare_number(reference, done.charged, mark.about, theirs, offer)?;
            }
            Told::Done | Told::Refused | Told::Range { .. } => {}
        }
        let Self {
            names,
            calls,
            about,
            ..
        } = self;
        let pending = &mut calls[call];
        (pending.step, pending.told_at) = (Some(done.offer), self.taken);
        pending.charged = done.charged;
        pending.refused = read && !refused && !undoing;
        pending.refusal_told |= refused;
        pending.last.clear();
        pending.told.clear();
        pending.told.push(mark.about);
        // A collapse passes over its range in one step.
        let whole = done.offer.list == "collapse";
        let more = |ours: &&About| {
            let range = whole && matches!(ours, About::Range { .. });
            range || !names.is_one_of(mark.about, &[**ours])
        };
        pending.last.extend(about.iter().filter(more));
        Ok(())
    }

    fn compare_entry(
        &mut self,
        done: &Done,
        mark: &Mark,
        before: Option<PageState>,
        after: Option<PageState>,
    ) -> Followed {
        let Some((mm, addr)) = self.place(mark) else {
            return Ok(());
        };
        let theirs = [before, after].map(|entry| self.names.entry(entry, mm, addr));
        let walk = mark.kind == StepKind::Walk;
        let ours = match (walk, done.choice) {
            (true, Choice::Stale) => [done.held, done.held],
            (true, _) => [done.before, done.before],
            (false, _) => [done.before, done.after],
        };
        if theirs == ours {
            return Ok(());
        }
        let rule = if walk { Rule::StaleEntry } else { Rule::State };
        let [a, b] = ours.map(entry_text);
        let [c, d] = theirs.map(entry_text);
        let what = format!(
            "the entry of {addr:#x} goes from {a} to {b} in the reference, from {c} to {d} in the \
             candidate, at: {}",
            done.offer.what
        );
        Err(self.object(rule, "entry", Some(done.offer), what))
    }

    /// How many pages were charged or given back, and how large a file is behind a step about its size.
    fn compare_number(
        &mut self,
        reference: &mut dyn Stepped,
        charged: u64,
        about: About,
        theirs: u64,
        offer: Option<Offer>,
    ) -> Followed {
        let ours = match about {
            About::Committed => charged,
            About::File(file) => {
                let Some(file) = self.names.files.get(file.0).map(FileId) else {
                    return Ok(());
                };
                reference.observe(About::File(file), &mut self.ours);
                self.ours.files.first().map_or(theirs, |file| file.size)
            }
            _ => theirs,
        };
        if ours == theirs {
            return Ok(());
        }
        let what = format!("{ours} in the reference, {theirs} in the candidate");
        Err(self.object(Rule::State, "number", offer, what))
    }

    /// Another object of the step that was told last: as it is now, if nobody has gone on since.
    pub(super) fn compare_more(
        &mut self,
        reference: &mut dyn Stepped,
        call: usize,
        mark: &Mark,
    ) -> Followed {
        let Pending {
            step,
            charged,
            told_at,
            ..
        } = self.calls[call];
        if let Told::Number(theirs) = mark.told
            && (told_at == self.taken || mark.about == About::Committed)
        {
            return self.compare_number(reference, charged, mark.about, theirs, step);
        }
        let (Some((mm, addr)), Told::Entry { after, .. }) = (self.place(mark), mark.told) else {
            return Ok(());
        };
        let ours = reference.entry(mm, addr);
        let theirs = self.names.entry(after, mm, addr);
        if told_at != self.taken || ours == theirs {
            return Ok(());
        }
        let (a, b) = (entry_text(ours), entry_text(theirs));
        let what = format!("the entry of {addr:#x} is {a} in the reference, {b} in the candidate");
        Err(self.object(Rule::State, "entry", None, what))
    }
}
