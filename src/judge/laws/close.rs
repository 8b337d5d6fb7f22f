//! `vm_ops->open` and `vm_ops->close`: a copy is opened, and whoever has a close gets one.

use vmadiff_contract::VmaId;

use super::Obeyed;
use super::vma::{Record, Vmas, about};
use crate::judge::Rule;

impl Vmas {
    pub fn open(&mut self, vma: VmaId) -> Obeyed {
        let record = self.live_record(vma)?;
        if record.opened {
            return Err(about(Rule::VmaClose, vma, "was opened twice"));
        }
        if record.closed {
            return Err(about(Rule::VmaClose, vma, "was opened after it was closed"));
        }
        record.opened = true;
        record.has_close = true;
        Ok(())
    }

    pub fn close(&mut self, vma: VmaId) -> Obeyed {
        let record = self.live_record(vma)?;
        if record.closed {
            return Err(about(Rule::VmaClose, vma, "was closed twice"));
        }
        record.closed = true;
        Ok(())
    }
}

impl Record {
    /// One that has been removed must have been closed and must have put its file.
    pub fn owes_nothing(&self, vma: VmaId) -> Obeyed {
        if self.has_close && !self.closed {
            return Err(about(
                Rule::VmaClose,
                vma,
                "was removed without being closed",
            ));
        }
        if self.file.is_some() && !self.put {
            return Err(about(
                Rule::FilePut,
                vma,
                "was removed without putting its file",
            ));
        }
        Ok(())
    }
}
