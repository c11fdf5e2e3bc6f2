//! `ringworld run --state DIR` as a process of its own.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::cell::Cell;
use std::fs::{self, File};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// A range of RTP ports that no other test of this run uses, nor, as far as a sample shows, any other process: between
/// those of the default settings in use and those of the other tests.
pub fn free_ports(calls: u16) -> (u16, u16) {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let count = calls * 2 + 32;
    let is_free = |first: u16| (first..first + count).step_by(10).all(|port| UdpSocket::bind(("::", port)).is_ok());
    for _ in 0..200 {
        let first = 12_500 + NEXT.fetch_add(count, Ordering::Relaxed) % (7_400 - count) / 2 * 2;
        if is_free(first) {
            return (first, first + count - 1);
        }
    }
    panic!("no free range of {count} ports");
}

/// The folder and the ports of a switch, which runs there in several lives.
pub struct Home {
    pub folder: PathBuf,
    pub sip: SocketAddr,
    pub ports: (u16, u16),
    /// Commands for the shell before the switch is started, such as a limit.
    pub before: &'static str,
    pub more: Vec<String>,
    lives: Cell<u32>,
}

impl Home {
    /// A home for up to so many calls.
    pub fn new(name: &str, calls: u16) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("restart-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        let sip = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
        Self { folder, sip, ports: free_ports(calls), before: "", more: Vec::new(), lives: Cell::new(0) }
    }

    pub fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// Starts the switch without waiting for it.
    pub fn spawn(&self) -> Process {
        let life = self.lives.replace(self.lives.get() + 1);
        let said = self.folder.join(format!("said-{life}"));
        let complained = self.folder.join(format!("complained-{life}"));
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("{} exec \"$0\" \"$@\"", self.before), env!("CARGO_BIN_EXE_ringworld"), "run"])
            .args(["--sip", &format!("udp:{}", self.sip), "--sip", &format!("tcp:{}", self.sip)])
            .args(["--rtp-ports", &format!("{}-{}", self.ports.0, self.ports.1)])
            .arg("--state")
            .arg(self.state())
            .arg("--summary")
            .arg(self.folder.join("summary.json"))
            .args(&self.more)
            .stdin(Stdio::null())
            .stdout(File::create(&said).expect("a file"))
            .stderr(File::create(&complained).expect("a file"));
        Process { child: command.spawn().expect("the switch starts"), said, complained }
    }

    /// Starts the switch, and returns when it is ready.
    pub fn start(&self) -> Process {
        let mut process = self.spawn();
        let deadline = Instant::now() + Duration::from_secs(30);
        while !process.said().contains("ready\n") {
            let ended = process.child.try_wait().expect("a child");
            assert!(ended.is_none() && Instant::now() < deadline, "{ended:?} {}", process.complained());
            std::thread::sleep(Duration::from_millis(5));
        }
        process
    }

    /// A figure of the summary that the last life left, by its path.
    pub fn summary(&self, path: &str) -> u64 {
        let text = fs::read_to_string(self.folder.join("summary.json")).expect("a summary");
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        value.pointer(path).and_then(serde_json::Value::as_u64).unwrap_or(0)
    }

    pub fn leave(self) {
        let _ = fs::remove_dir_all(self.folder);
    }
}

/// One process of a switch; killed when dropped.
pub struct Process {
    pub child: Child,
    said: PathBuf,
    complained: PathBuf,
}

impl Process {
    pub fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap_or_default()
    }

    pub fn complained(&self) -> String {
        fs::read_to_string(&self.complained).unwrap_or_default()
    }

    /// How many calls it has taken up from the life before.
    pub fn taken_up(&self) -> u64 {
        let said = self.said();
        let number = said.split(" go on").next().and_then(|before| before.rsplit(' ').next());
        number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no number of calls in {said}"))
    }

    /// Stops its execution for a while.
    pub fn stall(&self, time: Duration) {
        self.signal(Signal::SIGSTOP);
        std::thread::sleep(time);
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
        kill(id, signal).expect("a signal");
    }

    /// SIGTERM: it ends all calls.
    pub fn ask_to_end(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// How many sockets it has open. (Its files come and go.)
    pub fn sockets(&self) -> usize {
        let open = fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("a process");
        let is_socket = |path: PathBuf| fs::read_link(path).is_ok_and(|it| it.to_string_lossy().starts_with("socket:"));
        open.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_socket(path.clone())).count()
    }

    /// Waits until so many sockets are open.
    pub fn wait_for_sockets(&self, what: &str, is_right: impl Fn(usize) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !is_right(self.sockets()) {
            assert!(Instant::now() < deadline, "{what}: {} sockets are open", self.sockets());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().expect("a signal");
        self.child.wait().expect("an end");
    }

    /// Sends SIGTERM, and again if the calls are not to be ended.
    pub fn terminate(mut self, at_once: bool) -> (ExitStatus, String) {
        self.signal(Signal::SIGTERM);
        if at_once {
            std::thread::sleep(Duration::from_millis(50));
            self.signal(Signal::SIGTERM);
        }
        let status = self.wait();
        (status, self.complained())
    }

    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            match self.child.try_wait().expect("a child") {
                Some(status) => return status,
                None => assert!(Instant::now() < deadline, "it does not end: {}", self.complained()),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
