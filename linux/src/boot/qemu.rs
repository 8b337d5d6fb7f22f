//! One guest: the qemu process, what it prints, and the line to talk over.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::{CannotBoot, Machinery, Processor, carry};

/// What comes from a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A line of the kernel's log.
    Log(String),
    /// A line that the command in the guest said.
    Said(String),
    /// qemu ended.
    Ended,
}

/// A guest that runs. Dropping it ends it.
pub struct Guest {
    child: Child,
    /// How its processor is had.
    pub processor: Processor,
    lines: Receiver<Line>,
    /// The first line, which showed that the kernel started.
    first: Option<Line>,
    talk: Arc<Mutex<Option<UnixStream>>>,
    complaints: Arc<Mutex<String>>,
    /// Initramfs, scratch disk and socket.
    _folder: tempfile::TempDir,
}

const QEMU: &str = "qemu-system-x86_64";
/// Bytes of the scratch disk that the guest swaps to; a sparse file.
const SCRATCH: u64 = 64 << 20;
/// How long a kernel under KVM may take to print its first line: it takes a fraction of a second.
const FIRST_LINE: Duration = Duration::from_secs(10);
/// KVM was tried in this process, and did not work.
static NO_KVM: AtomicBool = AtomicBool::new(false);

impl Guest {
    /// Boots, with KVM if that works.
    ///
    /// # Errors
    /// If qemu is missing or refuses, or the initramfs can not be made.
    pub fn start(machinery: &Machinery) -> Result<Self, CannotBoot> {
        let initramfs = carry::initramfs(machinery)?;
        let has_kvm = || {
            let mut open = std::fs::File::options();
            open.read(true).write(true).open("/dev/kvm").is_ok()
        };
        if !NO_KVM.load(Ordering::Relaxed) && has_kvm() {
            let mut guest = Self::spawn(machinery, &initramfs, Processor::Kvm)?;
            if guest.starts() {
                return Ok(guest);
            }
            NO_KVM.store(true, Ordering::Relaxed);
        }
        Self::spawn(machinery, &initramfs, Processor::Emulated)
    }

    /// Whether the kernel prints its first line: a processor that KVM can not run stops before.
    fn starts(&mut self) -> bool {
        let start = Instant::now();
        while start.elapsed() < FIRST_LINE {
            match self.lines.recv_timeout(Duration::from_millis(100)) {
                Ok(line @ Line::Log(_)) => {
                    self.first = Some(line);
                    return true;
                }
                Ok(Line::Ended) | Err(RecvTimeoutError::Disconnected) => return false,
                Ok(Line::Said(_)) | Err(RecvTimeoutError::Timeout) => {}
            }
            let complaints = self.complaints.lock().expect("never poisoned");
            if complaints.contains("KVM internal error") {
                return false;
            }
        }
        false
    }

    fn spawn(
        machinery: &Machinery,
        initramfs: &[u8],
        processor: Processor,
    ) -> Result<Self, CannotBoot> {
        let io = |what| move |error| CannotBoot::Io { what, error };
        let folder = tempfile::Builder::new()
            .prefix("vmadiff-")
            .tempdir()
            .map_err(io("a temporary folder"))?;
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("initramfs"), initramfs).map_err(io("writing the initramfs"))?;
        let scratch = std::fs::File::create(at("scratch")).map_err(io("a scratch disk"))?;
        scratch.set_len(SCRATCH).map_err(io("a scratch disk"))?;
        let listener =
            UnixListener::bind(at("talk")).map_err(io("a socket in the temporary folder"))?;
        let mut child = command(machinery, folder.path(), processor)
            .spawn()
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => CannotBoot::NoQemu,
                _ => CannotBoot::Io {
                    what: "starting qemu",
                    error,
                },
            })?;
        let (sender, lines) = channel();
        let log = child.stdout.take().expect("piped");
        let ended = sender.clone();
        thread::spawn(move || {
            forward(log, &ended, Line::Log);
            let _ = ended.send(Line::Ended);
        });
        let complaints = Arc::new(Mutex::new(String::new()));
        let errors = child.stderr.take().expect("piped");
        let to = Arc::clone(&complaints);
        thread::spawn(move || collect(errors, &to));
        let talk = Arc::new(Mutex::new(None));
        let to = Arc::clone(&talk);
        thread::spawn(move || listen(&listener, &to, &sender));
        Ok(Self {
            child,
            processor,
            lines,
            first: None,
            talk,
            complaints,
            _folder: folder,
        })
    }

    /// The next line, or none within that time. After [`Line::Ended`] there is no other.
    pub fn next(&mut self, at_most: Duration) -> Option<Line> {
        if let Some(line) = self.first.take() {
            return Some(line);
        }
        match self.lines.recv_timeout(at_most) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Line::Ended),
        }
    }

    /// Says a line to the command in the guest, if it listens yet.
    pub fn say(&self, line: &str) {
        let mut talk = self.talk.lock().expect("never poisoned");
        if let Some(stream) = talk.as_mut() {
            // A guest that is gone is noticed by its silence.
            let _ = writeln!(stream, "{line}");
        }
    }

    /// qemu's own standard error so far.
    pub fn complaints(&self) -> String {
        self.complaints
            .lock()
            .expect("never poisoned")
            .trim()
            .to_owned()
    }

    /// Ends the guest, and says how qemu came to its end.
    pub fn end(&mut self) -> Option<ExitStatus> {
        // One that has ended already can not be killed, which is as good.
        let _ = self.child.kill();
        self.child.wait().ok()
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.end();
    }
}

/// The command line.
fn command(machinery: &Machinery, folder: &Path, processor: Processor) -> Command {
    let at = |name: &str| folder.join(name);
    let mut command = Command::new(QEMU);
    command.args([
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-no-reboot",
        "-M",
        "q35",
    ]);
    match processor {
        Processor::Kvm => command.args(["-accel", "kvm", "-cpu", "host"]),
        Processor::Emulated => {
            let levels = if machinery.five_levels { "on" } else { "off" };
            let processor = format!("max,la57={levels}");
            command.args(["-accel", "tcg,thread=multi", "-cpu", &processor])
        }
    };
    command.args(["-smp", &machinery.cpus.to_string()]);
    command.args(["-m", &format!("{}M", machinery.memory)]);
    nodes(&mut command, machinery);
    command.arg("-kernel").arg(&machinery.image.path);
    command.arg("-initrd").arg(at("initramfs"));
    command.arg("-append").arg(words(machinery, processor));
    // The log is qemu's standard output; the other line is a socket.
    command.args([
        "-chardev",
        "stdio,id=log,signal=off",
        "-serial",
        "chardev:log",
    ]);
    command
        .arg("-chardev")
        .arg(option("socket,id=talk,path=", &at("talk")));
    command.args(["-serial", "chardev:talk"]);
    command.arg("-drive").arg(option(
        "if=none,id=scratch,format=raw,file=",
        &at("scratch"),
    ));
    command.args(["-device", "nvme,drive=scratch,serial=scratch"]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // Ctrl-C reaches the command alone, which ends the guest in its own way.
    command.process_group(0);
    // SAFETY: prctl is a system call without memory of its own, allowed between fork and exec.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        });
    }
    command
}

/// An option that ends in a path, in which qemu doubles commas.
fn option(start: &str, path: &Path) -> String {
    format!("{start}{}", path.display().to_string().replace(',', ",,"))
}

/// Spreads memory and processors over nodes, if there is to be more than one.
fn nodes(command: &mut Command, machinery: &Machinery) {
    let nodes = u32::from(machinery.nodes);
    if nodes < 2 {
        return;
    }
    for node in 0..nodes {
        // Whole MiB; the first node has the rest.
        let share = machinery.memory / nodes
            + if node == 0 {
                machinery.memory % nodes
            } else {
                0
            };
        command.args([
            "-object",
            &format!("memory-backend-ram,id=m{node},size={share}M"),
        ]);
        let cpus = (node..machinery.cpus).step_by(nodes as usize);
        let cpus: String = cpus.map(|cpu| format!(",cpus={cpu}")).collect();
        command.args(["-numa", &format!("node,nodeid={node},memdev=m{node}{cpus}")]);
    }
}

/// The kernel's command line.
fn words(machinery: &Machinery, processor: Processor) -> String {
    let mut words = vec![
        "console=ttyS0".to_owned(),
        "earlyprintk=serial".into(),
        // Notices and all that is worse; the command's own marks are notices.
        "loglevel=6".into(),
        // Marks are many, and none may be left out.
        "printk.devkmsg=on".into(),
        "panic=-1".into(),
        "rdinit=/init".into(),
        format!("LD_LIBRARY_PATH={}", carry::LIBRARIES),
    ];
    if processor == Processor::Emulated {
        // A machine that is busy with other things may not get to emulating a timer in time.
        let patient = [
            "no_timer_check",
            "rcupdate.rcu_cpu_stall_timeout=120",
            "watchdog_thresh=60",
        ];
        words.extend(patient.map(String::from));
    }
    words.extend(machinery.append.iter().cloned());
    words.join(" ")
}

/// Sends lines on as they come. A line that is not UTF-8 has marks in its place.
fn forward(from: impl Read, to: &Sender<Line>, kind: fn(String) -> Line) {
    let mut from = BufReader::new(from);
    let mut bytes = Vec::new();
    while matches!(from.read_until(b'\n', &mut bytes), Ok(1..)) {
        let text = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        bytes.clear();
        if !text.is_empty() && to.send(kind(text)).is_err() {
            return;
        }
    }
}

/// Collects what qemu complains about, while it does.
fn collect(mut from: impl Read, to: &Mutex<String>) {
    let mut bytes = [0; 512];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        let mut text = to.lock().expect("never poisoned");
        text.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
}

/// Waits for qemu to connect the line to talk over, and sends on what comes.
fn listen(listener: &UnixListener, talk: &Mutex<Option<UnixStream>>, to: &Sender<Line>) {
    let Ok((stream, _)) = listener.accept() else {
        return;
    };
    if let Ok(writer) = stream.try_clone() {
        *talk.lock().expect("never poisoned") = Some(writer);
    }
    forward(stream, to, Line::Said);
}

/// Where qemu is, if it is installed.
pub fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(QEMU))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::Image;

    fn machinery(nodes: u8) -> Machinery {
        Machinery {
            image: Image {
                path: "bzImage".into(),
                release: None,
            },
            cpus: 3,
            memory: 1001,
            nodes,
            five_levels: false,
            append: vec!["quiet".into()],
            files: Vec::new(),
        }
    }

    fn arguments(nodes: u8, processor: Processor) -> String {
        let command = command(&machinery(nodes), Path::new("/tmp/a,b"), processor);
        let arguments = command
            .get_args()
            .map(|argument| argument.to_string_lossy());
        arguments.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn nodes_share_memory_and_processors() {
        let two = arguments(2, Processor::Kvm);
        for part in [
            "id=m0,size=501M",
            "id=m1,size=500M",
            "nodeid=0,memdev=m0,cpus=0,cpus=2",
            "nodeid=1,memdev=m1,cpus=1",
        ] {
            assert!(two.contains(part), "{part}: {two}");
        }
        assert!(!arguments(1, Processor::Kvm).contains("-numa"));
    }

    #[test]
    fn what_the_user_appends_comes_last_and_commas_in_paths_are_doubled() {
        let all = arguments(1, Processor::Emulated);
        assert!(all.contains("watchdog_thresh=60 quiet -chardev"), "{all}");
        assert!(all.contains("path=/tmp/a,,b/talk"), "{all}");
        assert!(!arguments(1, Processor::Kvm).contains("watchdog_thresh"));
    }
}
