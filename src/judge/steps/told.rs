//! What a mark tells, in the reference's names, against what the step did.

use vmadiff_contract::{About, Mark, MmId, PageState, TaskId, Told, VmFlags};

use crate::judge::names::{Names, Pairs};

impl Names {
    /// The reference's address space.
    pub fn mm(&self, mm: MmId) -> Option<MmId> {
        self.mms.get(mm.0.into()).map(|mm| MmId(mm as u8))
    }

    /// Whether what a mark is about is one of the objects of a step. An object without a name yet
    /// is paired with the first of its kind that has none either.
    pub fn is_one_of(&mut self, theirs: About, ours: &[About]) -> bool {
        ours.iter().any(|&ours| self.is(theirs, ours))
    }

    fn is(&mut self, theirs: About, ours: About) -> bool {
        let pair = |pairs: &mut Pairs, theirs: u32, ours: u32| pairs.pair(theirs, ours);
        match (theirs, ours) {
            (About::Counters(t), About::Counters(o)) | (About::Areas(t), About::Areas(o)) => {
                pair(&mut self.mms, t.0.into(), o.0.into())
            }
            (About::Area(t), About::Area(o)) => pair(&mut self.vmas, t.0, o.0),
            (About::Entry { mm: t, addr }, About::Entry { mm: o, addr: ours }) => {
                addr == ours && pair(&mut self.mms, t.0.into(), o.0.into())
            }
            (About::Entry { mm: t, addr }, About::Range { mm: o, start, end }) => {
                start <= addr && addr < end && pair(&mut self.mms, t.0.into(), o.0.into())
            }
            (
                About::Range {
                    mm: t,
                    start: a,
                    end: b,
                },
                About::Range { mm: o, start, end },
            ) => a < end && start < b && pair(&mut self.mms, t.0.into(), o.0.into()),
            (About::Frame(t), About::Frame(o)) => pair(&mut self.frames, t.0, o.0),
            (About::Anon(t), About::Anon(o)) => pair(&mut self.anons, t.0, o.0),
            (About::Policy(t), About::Policy(o)) => pair(&mut self.policies, t.0, o.0),
            (About::File(t), About::File(o)) => pair(&mut self.files, t.0, o.0),
            (
                About::FilePage { file: t, index },
                About::FilePage {
                    file: o,
                    index: ours,
                },
            ) => index == ours && pair(&mut self.files, t.0, o.0),
            (About::Descriptor { mm: t, fd }, About::Descriptor { mm: o, fd: ours }) => {
                (fd == ours || fd.0 < 0 || ours.0 < 0)
                    && pair(&mut self.mms, t.0.into(), o.0.into())
            }
            (About::Committed, About::Committed) => true,
            (About::Tlb(t), About::Tlb(o)) => self.task(t) == Some(o),
            (About::Task(t), About::Task(o)) => {
                // A child gets its name here.
                self.tasks.pair(t.0.into(), o.0.into())
            }
            _ => false,
        }
    }

    /// An entry in the reference's names.
    pub fn entry(&self, theirs: Option<PageState>, mm: MmId, addr: u64) -> Option<PageState> {
        theirs.map(|page| PageState { mm, addr, ..page })
    }

    /// The reference's task, for a TLB.
    pub fn tlb_of(&self, theirs: About) -> Option<TaskId> {
        match theirs {
            About::Tlb(task) => self.task(task),
            _ => None,
        }
    }
}

/// What an area allows, as /proc/PID/maps has it.
pub fn rights_text(flags: VmFlags) -> String {
    let letter = |flag, letter: char| if flags.contains(flag) { letter } else { '-' };
    [
        letter(VmFlags::READ, 'r'),
        letter(VmFlags::WRITE, 'w'),
        letter(VmFlags::EXEC, 'x'),
    ]
    .iter()
    .collect()
}

/// An entry in a few letters.
pub fn entry_text(entry: Option<PageState>) -> String {
    let Some(page) = entry else {
        return "nothing".to_owned();
    };
    let letter = |is: bool, letter: char| if is { letter } else { '-' };
    let rights = [
        letter(page.readable, 'r'),
        letter(page.writable, 'w'),
        letter(page.executable, 'x'),
    ];
    let rights: String = rights.iter().collect();
    let what = match (page.present, page.zero, page.anon) {
        (false, ..) => "a swapped page",
        (_, true, _) => "the zero page",
        (.., true) => "a private page",
        _ => "the file's page",
    };
    format!("{what} {rights}")
}

/// A mark in a few words.
pub fn mark_text(mark: &Mark) -> String {
    let about = about_text(mark.about);
    let kind = mark.kind.name();
    // A descriptor is looked up or given out by a step that is called by it.
    let does = if about.starts_with(kind) {
        about
    } else {
        format!("{kind} {about}")
    };
    match mark.told {
        Told::Done => does,
        Told::Range {
            start: 0,
            end: u64::MAX,
        } => does,
        Told::Range { start, end } => format!("{does}: {start:#x}-{end:#x}"),
        Told::Refused => format!("{does}: refused"),
        Told::Number(number) => format!("{does}: {number}"),
        Told::Flags(flags) => format!("{does}: {}", flags_text(flags)),
        Told::Entry { before, after } if before == after => {
            format!("{does}: {}", entry_text(before))
        }
        Told::Entry { before, after } => {
            let [before, after] = [before, after].map(entry_text);
            format!("{does}: {before} -> {after}")
        }
    }
}

/// An object in a few letters, by the number that its manager gives it.
pub fn about_text(about: About) -> String {
    match about {
        About::Counters(mm) => format!("counters of mm {}", mm.0),
        About::Areas(mm) => format!("areas of mm {}", mm.0),
        About::Area(vma) => format!("#{}", vma.0),
        About::Entry { mm, addr } => format!("{addr:#x} of mm {}", mm.0),
        About::Range { mm, start, end } => format!("{start:#x}-{end:#x} of mm {}", mm.0),
        About::Frame(frame) => format!("frame {}", frame.0),
        About::Anon(anon) => format!("anon_vma {}", anon.0),
        About::Policy(policy) => format!("policy {}", policy.0),
        About::File(file) => format!("file {}", file.0),
        About::FilePage { file, index } => format!("page {index} of file {}", file.0),
        About::Descriptor { mm, fd } => format!("descriptor {} of mm {}", fd.0, mm.0),
        About::Committed => "committed memory".to_owned(),
        About::Tlb(task) => format!("TLB of task {}", task.0),
        About::Task(task) => format!("task {}", task.0),
    }
}

fn flags_text(flags: VmFlags) -> String {
    let text = format!("{flags:?}");
    let inner = text.trim_start_matches("VmFlags(").trim_end_matches(')');
    inner
        .replace("MAYREAD | MAYWRITE | MAYEXEC", "MAY")
        .replace(" | ", "|")
}
