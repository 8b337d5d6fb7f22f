//! The first process of a guest: mounts what programs and the command look at, makes room to swap to,
//! starts the command on the second serial line, and turns the guest off when it is done.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::process::{Command, ExitStatus, Stdio};

use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::termios::{SetArg, cfmakeraw, tcdrain, tcgetattr, tcsetattr};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Whether this process is the first one of a guest that was booted for it.
pub fn is_init() -> bool {
    std::process::id() == 1
        && std::env::args_os()
            .next()
            .is_some_and(|name| name == "/init")
}

/// Does all that the first process does. `command` is what it starts itself again with.
pub fn run(command: &str) -> ! {
    if let Err(error) = live(command) {
        // The console: there is nobody else to tell.
        eprintln!("vmadiff: the first process of the guest: {error}");
    }
    // A line of the console is sent once the next one comes, or when there is time.
    std::thread::sleep(std::time::Duration::from_millis(200));
    let _ = reboot(RebootMode::RB_POWER_OFF);
    let _ = reboot(RebootMode::RB_AUTOBOOT);
    loop {
        std::thread::park();
    }
}

fn live(command: &str) -> io::Result<()> {
    for (kind, at) in [
        ("proc", "/proc"),
        ("sysfs", "/sys"),
        ("devtmpfs", "/dev"),
        ("tmpfs", "/tmp"),
    ] {
        let mounted = mount(Some(kind), at, Some(kind), MsFlags::empty(), None::<&str>);
        mounted.map_err(|errno| io::Error::other(format!("mounting {kind}: {errno}")))?;
    }
    settings();
    let line = talk()?;
    let child = Command::new("/proc/self/exe")
        .arg(command)
        .stdin(Stdio::from(line.try_clone()?))
        .stdout(Stdio::from(line.try_clone()?))
        .stderr(Stdio::from(
            OpenOptions::new().write(true).open("/dev/console")?,
        ))
        .spawn()?;
    let status = wait_for(Pid::from_raw(child.id().cast_signed()))?;
    if !status.success() {
        writeln!(&line, "\n{{\"Gone\":\"{status}\"}}")?;
    }
    tcdrain(line.as_fd())?;
    Ok(())
}

/// Waits for the command; collects whoever else ends, as a first process must.
fn wait_for(command: Pid) -> io::Result<ExitStatus> {
    use std::os::unix::process::ExitStatusExt;
    loop {
        match waitpid(None, Some(WaitPidFlag::__WALL))? {
            WaitStatus::Exited(pid, code) if pid == command => {
                return Ok(ExitStatus::from_raw(code << 8));
            }
            WaitStatus::Signaled(pid, signal, _) if pid == command => {
                return Ok(ExitStatus::from_raw(signal as i32));
            }
            _ => {}
        }
    }
}

/// The second serial line, with nothing done to the bytes.
fn talk() -> io::Result<File> {
    const LINE: &str = "/dev/ttyS1";
    let line = OpenOptions::new()
        .read(true)
        .write(true)
        .open(LINE)
        .map_err(|error| {
            io::Error::other(format!(
                "{LINE}: {error} (the kernel needs CONFIG_SERIAL_8250 and two ports)"
            ))
        })?;
    let mut settings = tcgetattr(&line)?;
    cfmakeraw(&mut settings);
    tcsetattr(&line, SetArg::TCSANOW, &settings)?;
    Ok(line)
}

/// Settings that a guest can have as it likes, each only where the kernel has it.
fn settings() {
    for (path, value) in [
        // Programs may use userfaultfd as any process, not only to fault from user space.
        ("/proc/sys/vm/unprivileged_userfaultfd", "1"),
        // The kernel's own scans would make entries go that programs look at.
        ("/proc/sys/kernel/numa_balancing", "0"),
    ] {
        let _ = std::fs::write(path, value);
    }
    if let Some(why) = swap().err() {
        eprintln!("vmadiff: nothing to swap to: {why}");
    }
}

/// Makes the scratch disk, or a disk in memory that the kernel has, swap space.
fn swap() -> io::Result<()> {
    const DISKS: [&str; 3] = ["/dev/nvme0n1", "/dev/vda", "/dev/ram0"];
    let disk = DISKS
        .into_iter()
        .find(|path| std::path::Path::new(path).exists());
    let disk = disk.ok_or_else(|| io::Error::other("no disk"))?;
    let mut file = OpenOptions::new().read(true).write(true).open(disk)?;
    let pages = file.seek(SeekFrom::End(0))? / 4096;
    let last = u32::try_from(pages.saturating_sub(1)).map_err(io::Error::other)?;
    // The header of swap space (mkswap(8)): version, last page, no bad pages at 1024; the magic word
    // at the end of the first page.
    let mut header = [0_u8; 4096];
    header[1024..1028].copy_from_slice(&1_u32.to_le_bytes());
    header[1028..1032].copy_from_slice(&last.to_le_bytes());
    header[4086..].copy_from_slice(b"SWAPSPACE2");
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&header)?;
    file.sync_all()?;
    let path = std::ffi::CString::new(disk).map_err(io::Error::other)?;
    // SAFETY: swapon reads the path, which lives.
    match unsafe { libc::swapon(path.as_ptr(), 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
