//! Looks at an agent's address space through /proc: smaps, status, pagemap and mem.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use vmadiff_contract::{MmId, VmFlags};

use crate::view::{Area, Object, Page, Space};
use crate::zone::Zones;
use crate::{agent_range, ballast_range};

/// The two-letter names of smaps' VmFlags that the contract has flags for.
const LETTERS: &[(&str, VmFlags)] = &[
    ("rd", VmFlags::READ),
    ("wr", VmFlags::WRITE),
    ("ex", VmFlags::EXEC),
    ("sh", VmFlags::SHARED),
    ("mr", VmFlags::MAYREAD),
    ("mw", VmFlags::MAYWRITE),
    ("me", VmFlags::MAYEXEC),
    ("ms", VmFlags::MAYSHARE),
    ("gd", VmFlags::GROWSDOWN),
    ("um", VmFlags::UFFD_MISSING),
    ("lo", VmFlags::LOCKED),
    ("sr", VmFlags::SEQ_READ),
    ("rr", VmFlags::RAND_READ),
    ("dc", VmFlags::DONTCOPY),
    ("ac", VmFlags::ACCOUNT),
    ("nr", VmFlags::NORESERVE),
    ("wf", VmFlags::WIPEONFORK),
    ("dd", VmFlags::DONTDUMP),
];

/// Looks at processes; keeps buffers between looks.
#[derive(Debug, Default)]
pub struct Looker {
    text: String,
    entries: Vec<u8>,
    page: Vec<u8>,
    /// Number of the page frame that holds the zero page, if we may know it.
    zero_frame: Option<u64>,
}

impl Looker {
    /// Finds out what it can about the machine's zero page.
    pub fn new() -> Self {
        Self {
            zero_frame: zero_frame(),
            page: vec![0; 4096],
            ..Self::default()
        }
    }

    /// The state of the agent `pid`, which stands for address space `mm`.
    ///
    /// # Errors
    /// If /proc can not be read, or shows something that is not understood.
    pub fn look(&mut self, pid: i32, mm: MmId, zones: &Zones, own: &Own) -> io::Result<Space> {
        let mut space = Space {
            mm,
            ..Space::default()
        };
        self.areas(pid, zones, own, &mut space)?;
        self.totals(pid, own, &mut space)?;
        let pagemap = File::open(format!("/proc/{pid}/pagemap"))?;
        let mem = File::open(format!("/proc/{pid}/mem"))?;
        for run in Space::looked_at(&space.areas) {
            self.pages(&pagemap, &mem, zones, run, &mut space)?;
        }
        Ok(space)
    }

    fn areas(&mut self, pid: i32, zones: &Zones, own: &Own, to: &mut Space) -> io::Result<()> {
        self.read_areas(pid, own.ballast)?;
        let mut last = None;
        for line in self.text.lines() {
            if let Some(flags) = line.strip_prefix("VmFlags:") {
                let Some(area) = last.take() else { continue };
                let flags = vm_flags(flags);
                to.areas.push(Area { flags, ..area });
            } else if line.starts_with(|c: char| matches!(c, '0'..='9' | 'a'..='f')) {
                last = header(line, zones)?;
            }
        }
        to.areas.sort_by_key(|area| area.start);
        Ok(())
    }

    /// Reads smaps, up to the ballast if there is any: that is tens of thousands of areas.
    fn read_areas(&mut self, pid: i32, ballast: bool) -> io::Result<()> {
        self.text.clear();
        let mut smaps = File::open(format!("/proc/{pid}/smaps"))?;
        if !ballast {
            smaps.read_to_string(&mut self.text)?;
            return Ok(());
        }
        let end = format!("{:x}-", ballast_range().start);
        let (mut bytes, mut chunk) = (Vec::new(), vec![0; 1 << 14]);
        loop {
            let read = smaps.read(&mut chunk)?;
            bytes.extend_from_slice(&chunk[..read]);
            self.text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some(at) = self.text.find(&end) {
                self.text.truncate(at);
                return Ok(());
            }
            if read == 0 {
                return Ok(());
            }
        }
    }

    fn totals(&mut self, pid: i32, own: &Own, to: &mut Space) -> io::Result<()> {
        self.text.clear();
        File::open(format!("/proc/{pid}/status"))?.read_to_string(&mut self.text)?;
        let fields: HashMap<&str, u64> = self
            .text
            .lines()
            .filter_map(|line| {
                let (name, value) = line.split_once(':')?;
                let pages = value.trim().strip_suffix(" kB")?.parse::<u64>().ok()? / 4;
                Some((name, pages))
            })
            .collect();
        let of = |name| fields.get(name).copied().unwrap_or(0);
        // The agent's code is executable and neither writable nor a stack.
        let executable = (of("VmExe") + of("VmLib")).saturating_sub(1);
        to.totals = [
            of("VmSize").saturating_sub(own.pages),
            of("VmLck").saturating_sub(if own.locked { own.pages } else { 0 }),
            of("VmData"),
            of("VmStk"),
            executable,
        ];
        Ok(())
    }

    fn pages(
        &mut self,
        pagemap: &File,
        mem: &File,
        zones: &Zones,
        run: Range<u64>,
        to: &mut Space,
    ) -> io::Result<()> {
        let Some(real) = zones.to_linux(run.start) else {
            return Ok(());
        };
        let count = (run.end - run.start) / 4096;
        self.entries.resize(count as usize * 8, 0);
        pagemap.read_exact_at(&mut self.entries, real / 4096 * 8)?;
        for index in 0..count {
            let at = index as usize * 8;
            let entry = &self.entries[at..at + 8];
            let entry = u64::from_ne_bytes(entry.try_into().expect("8 bytes"));
            let (present, swapped) = (entry >> 63 == 1, entry >> 62 & 1 == 1);
            if !present && !swapped {
                continue;
            }
            let addr = run.start + index * 4096;
            let frame = entry & ((1 << 55) - 1);
            let of_object = entry >> 61 & 1 == 1;
            let zero = match self.zero_frame {
                Some(zero) if present => Some(frame == zero),
                _ => None,
            };
            let anon = !of_object && zero != Some(true);
            to.pages.push(Page {
                addr,
                present,
                anon,
                zero,
            });
            if anon && present {
                mem.read_exact_at(&mut self.page, real + index * 4096)?;
                collect(&self.page, addr, &mut to.bytes);
            }
        }
        Ok(())
    }
}

/// Notes the bytes of a page that are not zero.
fn collect(page: &[u8], addr: u64, to: &mut Vec<(u64, u8)>) {
    for (offset, word) in (0_u64..).step_by(8).zip(page.chunks_exact(8)) {
        if word == [0; 8] {
            continue;
        }
        let bytes = (addr + offset..).zip(word);
        to.extend(
            bytes
                .filter(|&(_, &byte)| byte != 0)
                .map(|(addr, &byte)| (addr, byte)),
        );
    }
}

/// What of an agent's address space is its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Own {
    /// Pages in all its areas.
    pub pages: u64,
    /// They are locked.
    pub locked: bool,
    /// There are areas that only fill the map.
    pub ballast: bool,
}

/// The first line of an area; none if it is the agent's own.
fn header(line: &str, zones: &Zones) -> io::Result<Option<Area>> {
    let strange = || io::Error::other(format!("/proc/PID/smaps: {line}"));
    let mut words = line.split_ascii_whitespace();
    let mut word = || words.next().ok_or_else(strange);
    let (range, _rights, offset, _device, inode) = (word()?, word()?, word()?, word()?, word()?);
    let name = words.next().unwrap_or("");
    let (start, end) = range.split_once('-').ok_or_else(strange)?;
    let number = |text| u64::from_str_radix(text, 16).map_err(|_| strange());
    let (start, end, offset) = (number(start)?, number(end)?, number(offset)?);
    let is_own = agent_range().contains(&start) || ballast_range().contains(&start);
    if is_own || name == "[vsyscall]" {
        return Ok(None);
    }
    let key: u64 = inode.parse().map_err(|_| strange())?;
    let moved = zones.to_program(start).zip(zones.to_program(end - 1));
    let Some((start, last)) = moved else {
        return Err(strange());
    };
    Ok(Some(Area {
        start,
        end: last + 1,
        flags: VmFlags::empty(),
        object: (key != 0).then_some(Object {
            key,
            named: name.starts_with("/memfd:"),
        }),
        pgoff: if key == 0 { 0 } else { offset / 4096 },
    }))
}

fn vm_flags(letters: &str) -> VmFlags {
    letters
        .split_ascii_whitespace()
        .filter_map(|word| LETTERS.iter().find(|(letters, _)| *letters == word))
        .fold(VmFlags::empty(), |flags, (_, flag)| flags | *flag)
}

/// The zero page's frame: that of a page of our own that was only read.
fn zero_frame() -> Option<u64> {
    use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};
    let length = std::num::NonZeroUsize::new(4096).expect("not 0");
    // SAFETY: a new mapping of one page, read inside, and taken away again.
    let (frame, unmapped) = unsafe {
        let page =
            mmap_anonymous(None, length, ProtFlags::PROT_READ, MapFlags::MAP_PRIVATE).ok()?;
        page.cast::<u8>().read_volatile();
        let mut entry = [0; 8];
        let pagemap = File::open("/proc/self/pagemap").ok()?;
        let read = pagemap.read_exact_at(&mut entry, page.addr().get() as u64 / 4096 * 8);
        (
            read.map(|()| u64::from_ne_bytes(entry) & ((1 << 55) - 1)),
            munmap(page, 4096),
        )
    };
    unmapped.ok()?;
    frame.ok().filter(|&frame| frame != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_letters_of_smaps_are_flags() {
        let flags = vm_flags(" rd wr mr mw me lo ac ?? ");
        let named = VmFlags::READ | VmFlags::WRITE | VmFlags::LOCKED | VmFlags::ACCOUNT;
        let may = VmFlags::MAYREAD | VmFlags::MAYWRITE | VmFlags::MAYEXEC;
        assert_eq!(flags, named | may);
    }

    #[test]
    fn bytes_that_are_not_zero_are_found() {
        let mut page = vec![0; 4096];
        (page[3], page[4095]) = (7, 9);
        let mut found = Vec::new();
        collect(&page, 0x1000, &mut found);
        assert_eq!(found, [(0x1003, 7), (0x1fff, 9)]);
    }
}
