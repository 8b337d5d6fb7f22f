//! The memory calls of a syzkaller program, as its reports and its corpus have it, become a program.
//!
//! syzkaller's executor maps 16 MiB for a program's data before it runs it, with a page that
//! nothing may touch on either side; pointers are written from `0x7f0000000000` on, wherever that
//! memory is. Here it is where the executor has it on x86-64. Calls that the model does not have,
//! and those on descriptors or values that only the run would tell, are left out and counted. What
//! a call answered is not in the text, so nothing is expected.

mod line;

use std::collections::HashMap;

use vmadiff_contract::{
    Access, Call, CallKind, Config, Fail, Fd, FileKind, MapFlags, PAGE_SIZE, PolicyFlags, Prot,
    QueryFlags, Resource, TaskId,
};

use self::line::{Line, Value, parse};
use super::Step;
use super::shape::{self, MAX_PARAMS, Param};
use super::strace::{Import, Linux};

/// Where the executor maps a program's data on x86-64 (`DataOffset` in syzkaller's
/// `sys/targets/targets.go`), and how many bytes.
const DATA: u64 = 0x2000_0000_0000;
const DATA_LEN: u64 = 16 << 20;

/// What texts count addresses from (`encodingAddrBase` in `prog/encoding.go`).
const BASE: u64 = 0x7f00_0000_0000;

/// Places that the kernel chooses are below this.
const MMAP_BASE: u64 = 0x7f00_0000_0000;

/// `O_CREAT`: the file is there, whatever was.
const CREATE: u64 = 0o100;

/// Makes a program of a text; the file's name is for the places of what is left out.
pub fn import(file: &str, text: &str) -> Import {
    let mut importer = Importer {
        import: Import::default(),
        files: HashMap::new(),
    };
    importer.import.case.program.config = Config {
        mmap_base: MMAP_BASE,
        ..Config::default()
    };
    importer.data_area();
    for (i, line) in text.lines().enumerate() {
        let line = line.trim();
        if !line.is_empty() && !line.starts_with('#') {
            importer.line(line, &format!("{file}:{}", i + 1), i + 1);
        }
    }
    importer.import
}

struct Importer {
    import: Import,
    /// By variable, the program's descriptor.
    files: HashMap<String, Fd>,
}

impl Importer {
    fn data_area(&mut self) {
        let pieces = [
            (DATA - PAGE_SIZE, PAGE_SIZE, Prot::empty()),
            (DATA, DATA_LEN, Prot::READ | Prot::WRITE | Prot::EXEC),
            (DATA + DATA_LEN, PAGE_SIZE, Prot::empty()),
        ];
        for (addr, len, prot) in pieces {
            let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::ANONYMOUS;
            let (fd, off) = (Fd(-1), 0);
            let call = Call::Mmap {
                addr,
                len,
                prot,
                flags,
                fd,
                off,
            };
            self.push(call, 0);
        }
        self.import.summary.start = pieces.len();
    }

    fn line(&mut self, text: &str, at: &str, number: usize) {
        let Some(line) = parse(text) else {
            let why = "no call in syzkaller's notation";
            let shown: String = text.chars().take(60).collect();
            return self.import.summary.skip("line", why, at, Some(&shown));
        };
        self.import.summary.seen += 1;
        match self.call(&line) {
            Ok(call) => {
                self.push(call, number);
                self.import.summary.taken += 1;
                if let Some(prop) = line.props {
                    let said = format!(
                        "{at}: ({prop}) is left out: the calls run one by one, and \
                                        none of their allocations fails"
                    );
                    self.import.summary.notes.push(said);
                }
            }
            Err(why) => self.import.summary.skip(line.name, &why, at, None),
        }
    }

    fn push(&mut self, call: Call, line: usize) {
        self.import.case.program.calls.push(Step {
            task: TaskId(1),
            call,
            fail: Fail::NONE,
        });
        self.import.linux.push(Linux {
            file: 0,
            line,
            outcome: None,
            text: "?".to_owned(),
        });
    }

    fn call(&mut self, line: &Line<'_>) -> Result<Call, String> {
        let base = line.name.split('$').next().unwrap_or(line.name);
        match base {
            "memfd_create" => self.open(line, 0o2 | CREATE),
            "creat" => self.open(line, 0o1 | CREATE),
            "open" => self.open(line, number(line, 1)?),
            // A variant opens something of its own: a device, a file of /proc.
            "openat" if line.name == base => self.open(line, number(line, 2)?),
            "close" => {
                let fd = self.file(line, 0)?;
                self.files.retain(|_, open| *open != fd);
                Ok(Call::Close { fd })
            }
            "mbind" | "set_mempolicy" => policy(line, base),
            "get_mempolicy" => Ok(Call::GetMempolicy {
                addr: number(line, 3)?,
                flags: QueryFlags::from_bits_retain(number(line, 4)? as u32),
            }),
            "setrlimit" => limit(line, 0),
            "prlimit64" if matches!(number(line, 0), Ok(0)) => limit(line, 1),
            "pkey_mprotect" if number(line, 3)? as i32 == -1 => {
                self.simple(line, CallKind::Mprotect)
            }
            "exit" | "exit_group" => Ok(Call::Exit),
            "brk" => Err("where the heap begins is not known".into()),
            _ => {
                let kind = CallKind::ALL
                    .iter()
                    .find(|kind| kind.name() == base && is_simple(**kind));
                let kind = *kind.ok_or("not a call that the model has")?;
                self.simple(line, kind)
            }
        }
    }

    /// A call whose arguments are the program's, one by one.
    fn simple(&self, line: &Line<'_>, kind: CallKind) -> Result<Call, String> {
        let mut words = [0; MAX_PARAMS];
        for (i, (&param, word)) in shape::params(kind).iter().zip(&mut words).enumerate() {
            *word = match param {
                Param::Fd => self.descriptor(line, i)?,
                _ => number(line, i)?,
            };
            let is_wide = matches!(
                param,
                Param::Addr | Param::Len | Param::Off | Param::Fd | Param::MapFlags
            );
            if !is_wide && *word > u64::from(u32::MAX) {
                return Err(format!("with {word:#x}, which the model does not have"));
            }
        }
        let call = shape::build(kind, &words);
        let is_anonymous = |flags: MapFlags| flags.contains(MapFlags::ANONYMOUS);
        match call {
            Call::Mmap {
                flags,
                fd: Fd(UNKNOWN),
                ..
            } if !is_anonymous(flags) => Err(NO_FILE.into()),
            Call::Ftruncate {
                fd: Fd(UNKNOWN), ..
            }
            | Call::Fallocate {
                fd: Fd(UNKNOWN), ..
            } => Err(NO_FILE.into()),
            call => Ok(call),
        }
    }

    fn open(&mut self, line: &Line<'_>, flags: u64) -> Result<Call, String> {
        if flags & CREATE == 0 {
            return Err("of a file that may not be there".into());
        }
        let fd = (3..)
            .map(Fd)
            .find(|fd| self.files.values().all(|open| open != fd));
        let fd = fd.ok_or("of too many files")?;
        if let Some(name) = line.variable {
            self.files.insert(name.to_owned(), fd);
        }
        let config = &mut self.import.case.program.config;
        config.rlimit_nofile = config.rlimit_nofile.max(fd.0 as u32 + 1);
        let access = match flags & 3 {
            0 => Access::READ,
            1 => Access::WRITE,
            _ => Access::READ | Access::WRITE,
        };
        let (kind, size) = (FileKind::Plain, 0);
        Ok(Call::Open { kind, access, size })
    }

    fn file(&self, line: &Line<'_>, at: usize) -> Result<Fd, String> {
        let file = match line.args.get(at).and_then(|arg| Value::of(arg)) {
            Some(Value::Variable(name)) => self.files.get(name).copied(),
            _ => None,
        };
        file.ok_or_else(|| NO_FILE.into())
    }

    /// The word of a descriptor; [`UNKNOWN`] for one that the program does not have.
    fn descriptor(&self, line: &Line<'_>, at: usize) -> Result<u64, String> {
        let fd = match line.args.get(at).and_then(|arg| Value::of(arg)) {
            Some(Value::Variable(name)) => self.files.get(name).map_or(UNKNOWN, |fd| fd.0),
            Some(Value::Number(word)) if word as i32 == -1 => -1,
            Some(_) => UNKNOWN,
            None => return Err("with fewer arguments".into()),
        };
        Ok(i64::from(fd) as u64)
    }
}

const NO_FILE: &str = "of a descriptor that the text does not open, or of a device";

/// Stands for a descriptor of something that the program does not have.
const UNKNOWN: i32 = i32::MIN;

fn is_simple(kind: CallKind) -> bool {
    matches!(
        kind,
        CallKind::Mmap
            | CallKind::Munmap
            | CallKind::Mremap
            | CallKind::Mprotect
            | CallKind::Madvise
            | CallKind::Mlock
            | CallKind::Mlock2
            | CallKind::Munlock
            | CallKind::Mlockall
            | CallKind::Munlockall
            | CallKind::Msync
            | CallKind::Mincore
            | CallKind::Ftruncate
            | CallKind::Fallocate
            | CallKind::Fork
    )
}

/// setrlimit and prlimit64: the limits are behind a pointer.
fn limit(line: &Line<'_>, first: usize) -> Result<Call, String> {
    let unknown = "with limits that the text does not tell";
    let arg = line.args.get(first + 1).ok_or("with fewer arguments")?;
    let (_, behind) = arg.split_once("={").ok_or(unknown)?;
    let inside = behind.strip_suffix('}').ok_or(unknown)?;
    let (soft, hard) = inside.split_once(',').ok_or(unknown)?;
    let word = |text: &str| match Value::of(text.trim()) {
        Some(Value::Number(number)) => Ok(number),
        _ => Err(unknown),
    };
    Ok(Call::SetRlimit {
        resource: Resource::from_number(number(line, first)? as u32),
        soft: word(soft)?,
        hard: word(hard)?,
    })
}

/// mbind and set_mempolicy: the nodes are behind a pointer, and flags of the mode beside it.
fn policy(line: &Line<'_>, name: &str) -> Result<Call, String> {
    let first = if name == "mbind" { 2 } else { 0 };
    let mode = number(line, first)?;
    let max = number(line, first + 2)?;
    let kept = PolicyFlags::RELATIVE_NODES | PolicyFlags::STATIC_NODES;
    let flags = if name == "mbind" { number(line, 5)? } else { 0 };
    if mode > u64::from(u32::MAX) || flags > u64::from(u32::MAX) || max > 65 {
        return Err("with a mode, flags or more nodes than the model has".into());
    }
    // The kernel reads one bit less than it is told.
    let bits = max.saturating_sub(1);
    let mask = if bits >= 64 {
        u64::MAX
    } else {
        (1 << bits) - 1
    };
    let pointed = match line.args.get(first + 1).and_then(|arg| Value::of(arg)) {
        Some(Value::Number(0)) => 0,
        Some(Value::Pointer(_, Some(nodes))) => nodes,
        _ if mask == 0 => 0,
        _ => return Err("with nodes that the text does not tell".into()),
    };
    let mode_flags = PolicyFlags::from_bits_retain(mode as u32) & kept;
    let mode = vmadiff_contract::Mode::from_number(mode as u32 & !mode_flags.bits());
    let flags = PolicyFlags::from_bits_retain(flags as u32) | mode_flags;
    let nodes = pointed & mask;
    Ok(match name {
        "mbind" => {
            let (addr, len) = (number(line, 0)?, number(line, 1)?);
            Call::Mbind {
                addr,
                len,
                mode,
                nodes,
                flags,
            }
        }
        _ => Call::SetMempolicy { mode, nodes, flags },
    })
}

/// An argument that is a number or a pointer.
fn number(line: &Line<'_>, at: usize) -> Result<u64, String> {
    let arg = line.args.get(at).ok_or("with fewer arguments")?;
    match Value::of(arg) {
        Some(Value::Number(number)) => Ok(number),
        Some(Value::Pointer(addr, _)) => Ok(addr),
        Some(Value::Variable(_)) | None => {
            let shown: String = arg.chars().take(40).collect();
            Err(format!("with {shown}, which only the run tells"))
        }
    }
}

/// Where memory is that a text writes as this.
fn moved(addr: u64) -> u64 {
    addr.wrapping_sub(BASE).wrapping_add(DATA)
}
