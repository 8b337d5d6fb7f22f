//! Looks at an agent's address space through /proc: smaps, status, pagemap and mem.

use std::fs::File;
use std::io::{self, IoSliceMut, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use memchr::memmem;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;
use vmadiff_contract::MmId;

use crate::ballast_range;
use crate::seen::{Area, Page, Space};
use crate::smaps;
use crate::zone::Zones;

/// Bytes of a page.
const PAGE: usize = 4096;
/// Pages whose contents are read by one call.
const AT_ONCE: usize = 64;

/// Looks at processes; keeps buffers between looks.
#[derive(Debug, Default)]
pub struct Looker {
    text: Vec<u8>,
    entries: Vec<u8>,
    /// Private pages that are in memory, by their real addresses, and what is in so many of them.
    private: Vec<u64>,
    contents: Vec<u8>,
    /// Number of the page frame that holds the zero page, if we may know it.
    zero_frame: Option<u64>,
}

impl Looker {
    /// Finds out what it can about the machine's zero page.
    pub fn new() -> Self {
        Self {
            zero_frame: zero_frame(),
            contents: vec![0; AT_ONCE * PAGE],
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
        space.areas = self.areas(pid, zones, own)?;
        space.totals = self.totals(pid, own)?;
        let runs = Space::looked_at(&space.areas);
        if runs.is_empty() {
            return Ok(space);
        }
        let pagemap = File::open(format!("/proc/{pid}/pagemap"))?;
        let mut mem = None;
        for run in runs {
            self.pages(pid, &pagemap, &mut mem, zones, run, &mut space)?;
        }
        Ok(space)
    }

    fn areas(&mut self, pid: i32, zones: &Zones, own: &Own) -> io::Result<Vec<Area>> {
        // Not beyond the ballast, if there is any: that is tens of thousands of areas.
        let end = own.ballast.then(|| format!("{:x}-", ballast_range().start));
        let smaps = read(
            &format!("/proc/{pid}/smaps"),
            end.as_deref(),
            &mut self.text,
        )?;
        smaps::areas(smaps, zones)
    }

    fn totals(&mut self, pid: i32, own: &Own) -> io::Result<[u64; 5]> {
        let status = read(&format!("/proc/{pid}/status"), None, &mut self.text)?;
        let memory = memmem::find(status.as_bytes(), b"VmPeak:");
        let memory = &status[memory.unwrap_or(status.len())..];
        let of = |name: &str| {
            let from = memmem::find(memory.as_bytes(), name.as_bytes())? + name.len();
            let (number, _) = memory[from..].split_once(" kB")?;
            Some(number.trim().parse::<u64>().ok()? / 4)
        };
        let of = |name| of(name).ok_or_else(|| io::Error::other(format!("no {name} in a status")));
        // The agent's code is executable and neither writable nor a stack.
        let executable = (of("VmExe:")? + of("VmLib:")?).saturating_sub(1);
        Ok([
            of("VmSize:")?.saturating_sub(own.pages),
            of("VmLck:")?.saturating_sub(if own.locked { own.pages } else { 0 }),
            of("VmData:")?,
            of("VmStk:")?,
            executable,
        ])
    }

    fn pages(
        &mut self,
        pid: i32,
        pagemap: &File,
        mem: &mut Option<File>,
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
        self.private.clear();
        for (index, entry) in (0..count).zip(self.entries.as_chunks::<8>().0) {
            let entry = u64::from_ne_bytes(*entry);
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
                self.private.push(real + index * 4096);
            }
        }
        for pages in self.private.chunks(AT_ONCE) {
            let contents = &mut self.contents[..pages.len() * PAGE];
            if !read_memory(pid, pages, contents) {
                let mem = match mem {
                    Some(mem) => mem,
                    None => mem.insert(File::open(format!("/proc/{pid}/mem"))?),
                };
                for (page, contents) in pages.iter().zip(contents.chunks_exact_mut(PAGE)) {
                    mem.read_exact_at(contents, *page)?;
                }
            }
            for (page, contents) in pages.iter().zip(contents.chunks_exact(PAGE)) {
                collect(contents, run.start + (page - real), &mut to.bytes);
            }
        }
        Ok(())
    }
}

/// Reads pages of a process without opening its memory as a file. False: that can not be done, for
/// example where a page may not be read by the process itself.
fn read_memory(pid: i32, pages: &[u64], contents: &mut [u8]) -> bool {
    let page = |&page: &u64| RemoteIoVec {
        base: page as usize,
        len: PAGE,
    };
    let pages: Vec<RemoteIoVec> = pages.iter().map(page).collect();
    let length = contents.len();
    let read = process_vm_readv(Pid::from_raw(pid), &mut [IoSliceMut::new(contents)], &pages);
    read == Ok(length)
}

/// Notes the bytes of a page that are not zero: few, so that words are looked at first.
fn collect(page: &[u8], addr: u64, to: &mut Vec<(u64, u8)>) {
    let words = (addr..).step_by(8).zip(page.as_chunks::<8>().0);
    for (addr, word) in words.filter(|(_, word)| u64::from_ne_bytes(**word) != 0) {
        let bytes = (addr..).zip(*word);
        to.extend(bytes.filter(|&(_, byte)| byte != 0));
    }
}

/// Reads a file of /proc to its end, or up to where `end` stands in it. Such files have no size, so
/// reading them as others are read would ask for it in vain.
fn read<'a>(path: &str, end: Option<&str>, to: &'a mut Vec<u8>) -> io::Result<&'a str> {
    const CHUNK: usize = 1 << 14;
    let mut file = File::open(path)?;
    let mut length = 0;
    loop {
        if to.len() < length + CHUNK {
            to.resize(length + CHUNK, 0);
        }
        let more = match file.read(&mut to[length..]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        let unseen = length.saturating_sub(end.map_or(0, str::len));
        length += more;
        let found = end.and_then(|end| memmem::find(&to[unseen..length], end.as_bytes()));
        if more == 0 || found.is_some() {
            length = found.map_or(length, |at| unseen + at);
            return str::from_utf8(&to[..length]).map_err(io::Error::other);
        }
    }
}

/// One page's entry of /proc/PID/pagemap; 0 beyond the end of the address space. The page is named by its
/// real address.
///
/// # Errors
/// If it can not be read.
pub fn entry(pid: i32, page: u64) -> io::Result<u64> {
    let mut entry = [0; 8];
    let pagemap = File::open(format!("/proc/{pid}/pagemap"))?;
    // The file ends where the address space does.
    match pagemap.read_at(&mut entry, page / 4096 * 8)? {
        0 => Ok(0),
        8 => Ok(u64::from_ne_bytes(entry)),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
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

/// The zero page's frame: that of a page of our own that was only read.
fn zero_frame() -> Option<u64> {
    use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};
    let length = std::num::NonZeroUsize::new(4096).expect("not 0");
    let pagemap = File::open("/proc/self/pagemap").ok()?;
    // SAFETY: a new mapping of one page, read inside, and taken away again on every way out.
    let (frame, unmapped) = unsafe {
        let page =
            mmap_anonymous(None, length, ProtFlags::PROT_READ, MapFlags::MAP_PRIVATE).ok()?;
        page.cast::<u8>().read_volatile();
        let mut entry = [0; 8];
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
    fn bytes_that_are_not_zero_are_found() {
        let mut page = vec![0; 4096];
        (page[3], page[4095]) = (7, 9);
        let mut found = Vec::new();
        collect(&page, 0x1000, &mut found);
        assert_eq!(found, [(0x1003, 7), (0x1fff, 9)]);
    }

    #[test]
    fn no_page_is_beyond_the_end_of_the_address_space() {
        let me = std::process::id().cast_signed();
        let here = std::ptr::from_ref(&me).addr() as u64;
        assert_ne!(entry(me, here).expect("an entry"), 0);
        for beyond in [1 << 57, 0x3f_0000_001f_0000, u64::MAX] {
            assert_eq!(entry(me, beyond).expect("no page"), 0);
        }
    }
}
