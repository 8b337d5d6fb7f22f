//! What differs between two states, as a diff of text that reads like /proc/PID/maps.

use similar::{ChangeTag, TextDiff};
use vmadiff_contract::{
    AbsentPage, ByteState, FdState, FileByte, FileState, LimitState, MmId, MmState, PageState,
    Snapshot, TaskState, VmFlags, VmaState,
};

use crate::compare::{Shown, View};
use crate::judge::Side;
use crate::program::text::maps_line;

/// Lines shown around a difference.
const NEIGHBOURS: usize = 1;

/// What differs between two states and its neighbours, as a diff: each line with whose it is; none: it is
/// the same in both. What is not in the view is not shown.
pub fn differences(view: View, ours: &Snapshot, theirs: &Snapshot) -> Vec<(Option<Side>, String)> {
    let (ours, theirs) = (render(view, ours), render(view, theirs));
    let diff = TextDiff::from_lines(&ours, &theirs);
    let mut lines = Vec::new();
    for (i, group) in diff.grouped_ops(NEIGHBOURS).iter().enumerate() {
        if i != 0 {
            lines.push((None, "  ...".to_owned()));
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let (side, sign) = match change.tag() {
                ChangeTag::Equal => (None, ' '),
                ChangeTag::Delete => (Some(Side::Reference), '-'),
                ChangeTag::Insert => (Some(Side::Candidate), '+'),
            };
            lines.push((side, format!("{sign} {}", change.value().trim_end())));
        }
    }
    lines
}

/// Everything that is compared of a state, a line each.
pub fn render(view: View, state: &Snapshot) -> String {
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
        committed,
        anon_frames,
        anons,
        // Has laws, and its VMA's life tells of it.
        protocol: _,
    } = state;
    let mut out = Vec::new();
    for mm in mms {
        out.push(mm_line(view, mm));
        out.extend(tasks.iter().filter(|t| t.mm == mm.mm).map(task_line));
        let areas = vmas.iter().filter(|v| v.mm == mm.mm);
        out.extend(areas.map(|area| vma_line(view, area)));
        out.extend(
            pages
                .iter()
                .filter(|p| p.mm == mm.mm)
                .map(|p| page_line(p, bytes)),
        );
        out.extend(fds.iter().filter(|d| d.mm == mm.mm).map(fd_line));
    }
    out.extend(orphans(view, state));
    out.extend(limits.iter().map(limit_line));
    out.extend(files.iter().map(|file| file_line(file, file_bytes)));
    out.extend(absent.iter().map(absent_line));
    if view.shows(Shown::COUNTERS) {
        out.push(format!(
            "committed {committed} frames {anon_frames} anon_vmas {anons}"
        ));
    }
    out.push(String::new());
    out.join("\n")
}

/// What belongs to an address space that the state does not have.
fn orphans(view: View, state: &Snapshot) -> Vec<String> {
    let lost = |mm: MmId| !state.mms.iter().any(|m| m.mm == mm);
    let tasks = state.tasks.iter().filter(|t| lost(t.mm)).map(task_line);
    let vmas = state.vmas.iter().filter(|v| lost(v.mm));
    let vmas = vmas.map(|area| vma_line(view, area));
    let pages = state
        .pages
        .iter()
        .filter(|p| lost(p.mm))
        .map(|p| page_line(p, &state.bytes));
    let fds = state.fds.iter().filter(|d| lost(d.mm)).map(fd_line);
    tasks.chain(vmas).chain(pages).chain(fds).collect()
}

fn mm_line(view: View, state: &MmState) -> String {
    let MmState {
        mm,
        map_count,
        total_pages,
        locked_pages,
        data_pages,
        stack_pages,
        exec_pages,
        rss_anon,
        rss_file,
        swap_entries,
        brk,
        def_flags,
    } = state;
    if !view.shows(Shown::COUNTERS) {
        return mm.to_string();
    }
    format!(
        "{mm} areas {map_count} pages {total_pages} locked {locked_pages} data {data_pages} \
         stack {stack_pages} exec {exec_pages} rss {rss_anon}+{rss_file} swap {swap_entries} \
         brk {brk:#x}{}",
        flags(*def_flags)
    )
}

fn task_line(state: &TaskState) -> String {
    let TaskState {
        task,
        mm: _,
        minor_faults,
        major_faults,
        policy,
    } = state;
    let policy = policy
        .map(|policy| format!(" {policy}"))
        .unwrap_or_default();
    format!("  task {task} faults {minor_faults} minor {major_faults} major{policy}")
}

/// An area, with all that maps does not show.
pub fn vma_line(view: View, state: &VmaState) -> String {
    let VmaState {
        mm: _,
        start: _,
        end: _,
        vma,
        flags: all,
        pgoff,
        file,
        policy,
        anon,
        anon_chain,
    } = state;
    let mut line = format!("  {}", maps_line(state));
    if view.shows(Shown::IDENTITIES) {
        line += &format!(" {vma}");
    }
    // maps shows the offset of a file in bytes, and none of private memory.
    if file.is_none() && view.shows(Shown::OFFSETS) {
        line += &format!(" pgoff {pgoff:#x}");
    }
    if let Some(anon) = anon {
        line += &format!(" {anon}");
    }
    if *anon_chain != 0 {
        line += &format!(" chain {anon_chain}");
    }
    if let Some(policy) = policy {
        line += &format!(" {policy}");
    }
    line + &flags(*all - VmFlags::READ - VmFlags::WRITE - VmFlags::EXEC)
}

/// Names of flags; what mprotect may allow is one word.
fn flags(flags: VmFlags) -> String {
    let may = [
        (VmFlags::MAYREAD, 'r'),
        (VmFlags::MAYWRITE, 'w'),
        (VmFlags::MAYEXEC, 'x'),
    ];
    let letters: String = may
        .iter()
        .filter(|(f, _)| flags.contains(*f))
        .map(|(_, l)| *l)
        .collect();
    let rest = may.iter().fold(flags, |rest, (flag, _)| rest - *flag);
    let names = rest
        .iter_names()
        .map(|(name, _)| format!(" {}", name.to_lowercase()));
    let may = if letters.is_empty() {
        letters
    } else {
        format!(" may={letters}")
    };
    may + &names.collect::<String>()
}

fn page_line(state: &PageState, bytes: &[ByteState]) -> String {
    let PageState {
        mm,
        addr,
        present,
        readable,
        writable,
        executable,
        anon,
        zero,
    } = *state;
    let bit = |set, letter| if set { letter } else { '-' };
    let kind = match (present, anon, zero) {
        (false, true, false) => "swapped",
        (true, true, false) => "private",
        (true, false, true) => "zero",
        (true, false, false) => "file",
        _ => "impossible",
    };
    let (r, w, x) = (bit(readable, 'r'), bit(writable, 'w'), bit(executable, 'x'));
    let within = |b: &&ByteState| b.mm == mm && b.addr & !0xfff == addr;
    let bytes = bytes.iter().filter(within);
    let bytes: String = bytes
        .map(|b| format!(" +{:#x}={}", b.addr & 0xfff, b.value))
        .collect();
    format!("    {addr:08x} {r}{w}{x} {kind}{bytes}")
}

fn fd_line(state: &FdState) -> String {
    let FdState { mm: _, fd, file } = state;
    format!("  fd {fd} {file}")
}

fn limit_line(state: &LimitState) -> String {
    let LimitState {
        mm,
        resource,
        soft,
        hard,
    } = *state;
    let name = resource
        .name()
        .map_or_else(|| format!("limit {}", resource.number()), ToOwned::to_owned);
    format!("{mm} {name} {soft:#x} of {hard:#x}")
}

fn absent_line(state: &AbsentPage) -> String {
    let AbsentPage { file, index } = state;
    format!("{file} page {index} not in memory")
}

fn file_line(state: &FileState, bytes: &[FileByte]) -> String {
    let FileState {
        file,
        kind,
        refs,
        size,
    } = state;
    let kind = kind.map_or("shared memory", |kind| kind.name());
    let bytes = bytes.iter().filter(|b| b.file == *file);
    let bytes: String = bytes
        .map(|b| format!(" +{:#x}={}", b.offset, b.value))
        .collect();
    format!("{file} {kind} size {size:#x} refs {refs}{bytes}")
}
