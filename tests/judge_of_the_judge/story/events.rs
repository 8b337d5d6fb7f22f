//! Events by name and number, so that a chapter of the story reads as a list.

use vmadiff_contract::{AnonId, Event, FileId, FrameId, MmId, PolicyId, TableId, VmaId};

pub fn alloc(vma: u32, copy_of: u32) -> Event {
    let copy_of = (copy_of != 0).then_some(VmaId(copy_of));
    Event::VmaAlloc {
        vma: VmaId(vma),
        copy_of,
    }
}
pub fn link(vma: u32, mm: u8) -> Event {
    Event::VmaLink {
        vma: VmaId(vma),
        mm: MmId(mm),
    }
}
pub fn unlink(vma: u32) -> Event {
    Event::VmaUnlink { vma: VmaId(vma) }
}
pub fn get(vma: u32, refs: u32) -> Event {
    Event::VmaGet {
        vma: VmaId(vma),
        refs,
    }
}
pub fn put(vma: u32, refs: u32) -> Event {
    Event::VmaPut {
        vma: VmaId(vma),
        refs,
    }
}
pub fn open(vma: u32) -> Event {
    Event::VmaOpen { vma: VmaId(vma) }
}
pub fn close(vma: u32) -> Event {
    Event::VmaClose { vma: VmaId(vma) }
}
pub fn free(vma: u32) -> Event {
    Event::VmaFree { vma: VmaId(vma) }
}
pub fn file_put(file: u32, vma: u32) -> Event {
    Event::FilePut {
        file: FileId(file),
        vma: VmaId(vma),
    }
}
pub fn file_free(file: u32) -> Event {
    Event::FileFree { file: FileId(file) }
}
pub fn anon(anon: u32) -> Event {
    Event::AnonAlloc { anon: AnonId(anon) }
}
pub fn anon_free(anon: u32) -> Event {
    Event::AnonFree { anon: AnonId(anon) }
}
pub fn policy(policy: u32) -> Event {
    Event::PolicyAlloc {
        policy: PolicyId(policy),
    }
}
pub fn policy_free(policy: u32) -> Event {
    Event::PolicyFree {
        policy: PolicyId(policy),
    }
}
pub fn frame(frame: u32) -> Event {
    Event::FrameAlloc {
        frame: FrameId(frame),
    }
}
pub fn frame_free(frame: u32) -> Event {
    Event::FrameFree {
        frame: FrameId(frame),
    }
}
pub fn table(table: u32) -> Event {
    Event::TableAlloc {
        table: TableId(table),
    }
}
pub fn table_free(table: u32) -> Event {
    Event::TableFree {
        table: TableId(table),
    }
}
