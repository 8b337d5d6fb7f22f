//! What may wait for a grace period, and that nothing is left when all waiting has ended.

use vmadiff_contract::{Event, Frees, Snapshot};

use super::{Broken, Obeyed};
use crate::judge::Rule;

/// Whether the event may happen after its call: the reference defers nothing, a design's manager
/// only frees of policies and page tables, and if VMAs wait for readers their last puts and frees.
pub fn allowed(frees: Option<Frees>, event: &Event) -> Obeyed {
    let fine = match event {
        Event::VmaPut { .. } | Event::VmaFree { .. } => frees == Some(Frees::AfterReaders),
        Event::PolicyFree { .. } | Event::TableFree { .. } => frees.is_some(),
        Event::Misuse(_) | Event::Note(_) => true,
        Event::VmaAlloc { .. }
        | Event::VmaLink { .. }
        | Event::VmaUnlink { .. }
        | Event::VmaGet { .. }
        | Event::VmaOpen { .. }
        | Event::VmaClose { .. }
        | Event::FilePut { .. }
        | Event::FileFree { .. }
        | Event::AnonAlloc { .. }
        | Event::AnonFree { .. }
        | Event::PolicyAlloc { .. }
        | Event::FrameAlloc { .. }
        | Event::FrameFree { .. }
        | Event::TableAlloc { .. } => false,
    };
    if fine {
        return Ok(());
    }
    let what = format!("{event:?} was put off to a grace period");
    Err(Box::new(Broken {
        rule: Rule::Deferred,
        object: None,
        after: None,
        field: "event",
        what,
    }))
}

/// After every exit the state must be empty.
pub fn nothing_left(last: &Snapshot) -> Obeyed {
    let Snapshot {
        tasks,
        mms,
        vmas,
        pages,
        bytes,
        fds,
        files,
        file_bytes,
        absent,
        limits,
        // A stack without ACCOUNT charges its growth and never gives it back (docs/rules.md, 18), so
        // this is compared only.
        committed: _,
        anon_frames,
        anons,
        protocol,
    } = last;
    let left = [
        ("tasks", tasks.len() as u64),
        ("mms", mms.len() as u64),
        ("vmas", vmas.len() as u64),
        ("pages", pages.len() as u64),
        ("bytes", bytes.len() as u64),
        ("fds", fds.len() as u64),
        ("files", files.len() as u64),
        ("file_bytes", file_bytes.len() as u64),
        ("absent", absent.len() as u64),
        ("limits", limits.len() as u64),
        ("anon_frames", *anon_frames),
        ("anons", *anons),
        ("protocol", protocol.len() as u64),
    ];
    match left.into_iter().find(|&(_, count)| count != 0) {
        None => Ok(()),
        Some((field, count)) => {
            let what = format!("every task has exited and `{field}` still counts {count}");
            Err(Box::new(Broken {
                rule: Rule::LeftOver,
                object: None,
                after: None,
                field,
                what,
            }))
        }
    }
}
