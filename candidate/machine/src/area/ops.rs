//! What an area's operations and protection are, apart from the area.

use vmadiff_contract::VmFlags;

/// Which `vm_operations_struct` an area has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Ops {
    /// None: private anonymous memory (`vma_is_anonymous`).
    Anonymous,
    /// Those of a file without `close`, shared anonymous memory included.
    Fault,
    /// Those of a file, with `open` and `close`.
    FaultClose,
    /// Those of a file without `fault`.
    NoFault,
}

impl Ops {
    /// From its number.
    pub fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Anonymous,
            1 => Self::Fault,
            2 => Self::FaultClose,
            _ => Self::NoFault,
        }
    }

    /// Whether there is `fault`.
    pub fn fault(self) -> bool {
        matches!(self, Self::Fault | Self::FaultClose)
    }

    /// Whether there are `open` and `close`.
    pub fn close(self) -> bool {
        self == Self::FaultClose
    }
}

/// What entries of an area allow (`vm_page_prot`): a bit each for read, write, execute.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageProt(u8);

impl PageProt {
    /// These permissions.
    pub const fn new(readable: bool, writable: bool, executable: bool) -> Self {
        Self(readable as u8 | (writable as u8) << 1 | (executable as u8) << 2)
    }

    /// From an area's flags (`vm_get_page_prot`): private memory is never writable by these.
    pub fn of(flags: VmFlags) -> Self {
        let rwx = VmFlags::READ | VmFlags::WRITE | VmFlags::EXEC;
        Self::new(
            flags.intersects(rwx),
            flags.contains(VmFlags::SHARED | VmFlags::WRITE),
            flags.contains(VmFlags::EXEC),
        )
    }

    /// As a word holds it.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// From a word.
    pub fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// Whether entries may be read.
    pub fn readable(self) -> bool {
        self.0 & 1 != 0
    }

    /// Whether entries may be written.
    pub fn writable(self) -> bool {
        self.0 & 2 != 0
    }

    /// Whether entries may be fetched from.
    pub fn executable(self) -> bool {
        self.0 & 4 != 0
    }
}

/// Whether flags are those of private memory that may become writable (`is_cow_mapping`).
pub fn is_cow_mapping(flags: VmFlags) -> bool {
    flags & (VmFlags::SHARED | VmFlags::MAYWRITE) == VmFlags::MAYWRITE
}
