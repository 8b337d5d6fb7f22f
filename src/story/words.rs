//! Moments in words.

use vmadiff_contract::{CallKind, Event, Misuse, Note, VmFlags, VmaId};
use vmadiff_interleave::{Kind, Site, Value};

use super::{Happening, Moment};
use crate::judge::Object;
use crate::judge::steps::rights_text;
use crate::program::Program;
use crate::program::text::outcome_text;

/// What a moment is, in a few words; none for what only counts.
pub fn moment(program: &Program, moment: &Moment) -> Option<String> {
    Some(match moment.what {
        Happening::Begin => call(program, moment.call),
        Happening::End(outcome) => {
            let step = moment.call.and_then(|at| program.calls.get(at));
            let kind = step.map_or(CallKind::Exit, |step| step.call.kind());
            format!("= {}", outcome_text(kind, outcome))
        }
        Happening::Access {
            kind, site, value, ..
        } => match value.and_then(|value| self::value(site, &value)) {
            Some((word, held)) if kind == Kind::Read => format!("reads {word} = {held}"),
            Some((word, held)) if kind == Kind::Write => format!("writes {word} = {held}"),
            _ => access(kind, site),
        },
        Happening::Mark(_) => "takes effect".to_owned(),
        Happening::Event(Event::Note(note)) => self::note(note)?,
        Happening::Event(event) => {
            let (object, text) = self::event(&event)?;
            format!("{object} {text}")
        }
    })
}

/// A call without the task that makes it.
pub fn call(program: &Program, at: Option<usize>) -> String {
    match at {
        None => "the kernel".to_owned(),
        Some(at) => program.calls.get(at).map_or_else(
            || "exit()".to_owned(),
            |step| {
                let text = step.to_string();
                let tag = format!("[{}] ", step.task);
                text.strip_prefix(&tag).unwrap_or(&text).to_owned()
            },
        ),
    }
}

/// What is locked at a site: its name behind the function's.
pub fn thing(site: Site) -> &'static str {
    match site.name.rsplit('.').next() {
        // No other lock is ever downgraded, or tried.
        Some("downgrade") => "mmap_sem",
        Some("trylock") => "ptl",
        Some("lock") | None => site.name,
        Some(name) => name,
    }
}

fn access(kind: Kind, site: Site) -> String {
    let (name, thing) = (site.name, thing(site));
    match kind {
        Kind::Read => format!("reads {name}"),
        Kind::Write => format!("writes {name}"),
        Kind::Update => format!("updates {name}"),
        Kind::Lock => format!("takes {thing}"),
        Kind::LockShared => format!("takes {thing}, shared"),
        Kind::TryLock => format!("tries {thing}"),
        Kind::TryLockShared => format!("tries {thing}, shared"),
        Kind::Unlock | Kind::UnlockShared => format!("gives back {thing}"),
        Kind::Downgrade => format!("keeps {thing} as a reader"),
        Kind::ReadSection => "rcu_read_lock".to_owned(),
        Kind::ReadSectionEnd => "rcu_read_unlock".to_owned(),
        Kind::IrqOff => "interrupts off".to_owned(),
        Kind::IrqOn => "interrupts on".to_owned(),
        Kind::CallRcu => format!("call_rcu ({name})"),
        Kind::PopCallback => "a grace period has ended".to_owned(),
        Kind::Ipi => format!("interrupts the others ({name})"),
        Kind::AwaitIpi => format!("waits for the others ({name})"),
        other => format!("{other:?} {name}"),
    }
}

/// Whose word it is, by its name, and what it holds; none: it says nothing to people.
fn value(site: Site, value: &Value) -> Option<(String, String)> {
    let Some(owner) = &value.owner else {
        let counts = thing(site).contains("seq");
        return counts.then(|| (site.name.to_owned(), value.word.to_string()));
    };
    let name = |object: &str, ordinal: u32| match object {
        "Vma" => VmaId(ordinal).to_string(),
        other => format!("{}#{ordinal}", other.to_lowercase()),
    };
    let word = format!("{}.{}", name(owner.object, owner.ordinal), owner.word);
    let number = value.word;
    let handle = owner
        .of
        .strip_prefix("Handle")
        .map(|of| of.trim_matches(|c: char| !c.is_ascii_alphanumeric()));
    let held = match (owner.word, handle, owner.of) {
        (_, Some(_), _) if number == 0 => "none".to_owned(),
        (_, Some(of), _) => name(of, number as u32),
        ("vm_flags", ..) => rights_text(VmFlags::from_bits_retain(number as u32)),
        ("vm_start" | "vm_end", ..) => format!("{number:#x}"),
        (_, _, "bool") => (number != 0).to_string(),
        _ => number.to_string(),
    };
    Some((word, held))
}

/// How a fault was served, or why not; none for other notes.
pub fn note(note: Note) -> Option<String> {
    match note {
        Note::Speculative => Some("served speculatively".to_owned()),
        Note::Classic => Some("served under mmap_sem".to_owned()),
        Note::GiveUp(why) => Some(format!("gives up: {why:?}")),
        _ => None,
    }
}

/// Which object an event is about, and what happened to it.
pub fn event(event: &Event) -> Option<(Object, String)> {
    let vma = Object::Vma;
    let (object, text) = match *event {
        Event::VmaAlloc { vma: id, copy_of } => {
            let of = copy_of.map_or_else(String::new, |of| format!(", a copy of {of}"));
            return Some((vma(id), format!("allocated{of}")));
        }
        Event::VmaLink { vma: id, mm } => return Some((vma(id), format!("linked into {mm}"))),
        Event::VmaGet { vma: id, refs } => {
            return Some((vma(id), format!("reference taken: {refs}")));
        }
        Event::VmaPut { vma: id, refs } => {
            return Some((vma(id), format!("reference put: {refs}")));
        }
        Event::FilePut { file, vma: id } => return Some((vma(id), format!("puts {file}"))),
        Event::VmaUnlink { vma: id } => (vma(id), "unlinked"),
        Event::VmaOpen { vma: id } => (vma(id), "opened"),
        Event::VmaClose { vma: id } => (vma(id), "closed"),
        Event::VmaFree { vma: id } => (vma(id), "freed"),
        Event::FileFree { file } => (Object::File(file), "freed"),
        Event::AnonAlloc { anon } => (Object::Anon(anon), "allocated"),
        Event::AnonFree { anon } => (Object::Anon(anon), "freed"),
        Event::PolicyAlloc { policy } => (Object::Policy(policy), "allocated"),
        Event::PolicyFree { policy } => (Object::Policy(policy), "freed"),
        Event::FrameAlloc { frame } => (Object::Frame(frame), "allocated"),
        Event::FrameFree { frame } => (Object::Frame(frame), "freed"),
        Event::TableAlloc { table } => (Object::Table(table), "allocated"),
        Event::TableFree { table } => (Object::Table(table), "freed"),
        Event::Misuse(misuse) => misused(misuse),
        Event::Note(_) => return None,
    };
    Some((object, text.to_owned()))
}

/// Whether an object is gone with this event.
pub fn is_free(event: &Event) -> bool {
    matches!(
        event,
        Event::VmaFree { .. }
            | Event::FileFree { .. }
            | Event::AnonFree { .. }
            | Event::PolicyFree { .. }
            | Event::FrameFree { .. }
            | Event::TableFree { .. }
    )
}

fn misused(misuse: Misuse) -> (Object, &'static str) {
    match misuse {
        Misuse::DeadVma(id) => (Object::Vma(id), "used though freed"),
        Misuse::DeadFrame(id) => (Object::Frame(id), "used though freed"),
        Misuse::DeadTable(id) => (Object::Table(id), "used though freed"),
        Misuse::DeadLock(id) => (Object::Table(id), "its lock tried though it is gone"),
        Misuse::LostTable(id) => (Object::Table(id), "walked to though unhooked"),
        Misuse::DeadAnon(id) => (Object::Anon(id), "used though freed"),
        Misuse::DeadPolicy(id) => (Object::Policy(id), "used though freed"),
        Misuse::DeadFile(id) => (Object::File(id), "used though put for the last time"),
        Misuse::FreedLinked(id) => (Object::Vma(id), "freed though linked"),
        Misuse::FreedInTlb(id) => (Object::Frame(id), "freed though a TLB maps it"),
        Misuse::LostPage(id) => (Object::Frame(id), "mapped where no walk comes to it"),
        Misuse::FreedTableInUse(id) => (Object::Table(id), "freed though walked"),
        Misuse::OpenInvalidation(id) => (Object::Mm(id), "an invalidation never ended"),
        Misuse::Breach(id, breach) => (Object::Vma(id), breach.what),
    }
}

/// What an event means in the life of an object; none if it is about others.
pub fn of_life(object: Object, event: &Event) -> Option<String> {
    match *event {
        Event::VmaAlloc {
            vma,
            copy_of: Some(original),
        } if object == Object::Vma(original) => Some(format!("copied: {vma}")),
        Event::FilePut { file, vma } if object == Object::File(file) => {
            Some(format!("put by {vma}"))
        }
        _ => {
            let (subject, text) = self::event(event)?;
            (subject == object).then_some(text)
        }
    }
}
