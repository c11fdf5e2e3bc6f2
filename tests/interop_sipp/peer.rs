//! SIPp as a child process with a folder of its own.

use super::ports::{Block, Range};
use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// After this many seconds SIPp ends its run as failed; the test does so some seconds later if SIPp does not.
const TIMEOUT_S: u64 = 60;

/// A block for each SIPp: a port for SIP, one to control it by, and some for media. Above those that the system hands out.
const PORTS: Range = Range { first: 61_000, block: 10, blocks: 440 };

/// Whether SIPp is installed. Prints a message if not, and fails if peers are required.
pub fn is_here() -> bool {
    if std::env::var_os("RINGWORLD_SKIP_PEERS").is_some() {
        eprintln!("SKIPPED: RINGWORLD_SKIP_PEERS is set; nothing was tested");
        return false;
    }
    let found = Command::new("sipp").arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        assert!(std::env::var_os("RINGWORLD_REQUIRE_PEERS").is_none(), "sipp is required and is not installed");
        eprintln!("SKIPPED: sipp is not installed (apt-get install sip-tester); nothing was tested");
    }
    found
}

/// What SIPp plays: one of its own scenarios or a file of `tests/sipp/` with words replaced.
pub struct Scenario {
    name: String,
    text: Option<String>,
}

impl Scenario {
    /// A file of `tests/sipp/`, without its ending.
    pub fn file(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sipp").join(format!("{name}.xml"));
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { name: name.into(), text: Some(text) }
    }

    /// SIPp's own `uac` or `uas`.
    pub fn stock(name: &str) -> Self {
        Self { name: name.into(), text: None }
    }

    /// Replaces a word, usually `@LIKE_THIS@`, wherever it stands.
    pub fn with(mut self, word: &str, by: &str) -> Self {
        let text = self.text.as_mut().expect("a scenario in a file");
        assert!(text.contains(word), "{} has no {word}", self.name);
        *text = text.replace(word, by);
        self
    }

    /// Leaves out each line that begins with this, blanks apart.
    pub fn without_line(mut self, start: &str) -> Self {
        let text = self.text.as_mut().expect("a scenario in a file");
        let kept: Vec<_> = text.lines().filter(|line| !line.trim_start().starts_with(start)).collect();
        assert!(kept.len() < text.lines().count(), "{} has no line {start}", self.name);
        *text = kept.join("\n");
        self
    }
}

/// A running SIPp. It is killed when this is dropped.
pub struct Sipp {
    child: Child,
    folder: PathBuf,
    name: String,
    _ports: Block,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Sipp {
    /// Starts SIPp on `local` with a port of its own, towards `remote`; returns when it listens.
    pub fn start(scenario: &Scenario, local: IpAddr, remote: SocketAddr, arguments: &[&str]) -> Self {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("ringworld-sipp-{}-{run}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for SIPp");
        let over_tcp = arguments.iter().any(|argument| ["t1", "tn"].contains(argument));
        let ports = Block::of(PORTS);
        let address = SocketAddr::new(local, ports.first);
        let mut command = Command::new("sipp");
        match &scenario.text {
            Some(text) => {
                let filled = !text.contains("[@") && !text.contains(" @");
                assert!(filled, "a word of {} was not replaced", scenario.name);
                fs::write(folder.join("scenario.xml"), text).expect("a scenario in the folder");
                command.args(["-sf", "scenario.xml"]);
            }
            None => {
                command.args(["-sn", &scenario.name]);
            }
        }
        let ip = local.to_string();
        let [port, control, media] = [0, 1, 2].map(|at| (ports.first + at).to_string());
        let timeout = format!("{TIMEOUT_S}s");
        command
            .arg(remote.to_string())
            .args([
                "-i",
                &ip,
                "-mi",
                &ip,
                "-bind_local",
                "-p",
                &port,
                "-cp",
                &control,
                "-mp",
                &media,
                "-nostdin",
                "-timeout",
                &timeout,
                "-timeout_error",
            ])
            .args(["-trace_err", "-error_file", "errors.log", "-trace_msg", "-message_file", "messages.log"])
            .args(arguments)
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.join("stderr.log")).expect("a file for what SIPp says"));
        let child = command.spawn().expect("sipp starts");
        let sipp = Self { child, folder, name: scenario.name.clone(), _ports: ports, address };
        // A caller over TCP does not listen.
        if !over_tcp || scenario.name.starts_with("uas") {
            sipp.wait_until_it_listens(over_tcp);
        }
        sipp
    }

    fn wait_until_it_listens(&self, over_tcp: bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !listens(self.address.port(), over_tcp) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// How many messages with these words in them were sent and received.
    pub fn messages(&self, words: &str) -> usize {
        fs::read_to_string(self.folder.join("messages.log")).map_or(0, |log| log.matches(words).count())
    }

    /// Waits until a message with these words in it was sent or received.
    pub fn wait_for_message(&self, words: &str) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.messages(words) == 0 {
            assert!(Instant::now() < deadline, "no {words:?} in 10 s");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for its end, which must be a success of every call.
    pub fn finish(mut self) {
        let deadline = Instant::now() + Duration::from_secs(TIMEOUT_S + 15);
        let status = loop {
            match self.child.try_wait().expect("sipp can be waited for") {
                Some(status) => break Some(status),
                None if Instant::now() > deadline => break None,
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        if !status.is_some_and(|status| status.success()) {
            let said = ["stderr.log", "errors.log", "messages.log"].map(|file| self.tail_of(file));
            panic!("sipp {} ended with {status:?}\n{}", self.name, said.join("\n"));
        }
        // Kept after a failure, for inspection.
        let _ = fs::remove_dir_all(&self.folder);
    }

    fn tail_of(&self, file: &str) -> String {
        let text = fs::read_to_string(self.folder.join(file)).unwrap_or_default();
        let start = text.char_indices().rev().nth(8_000).map_or(0, |(index, _)| index);
        format!("--- {file}\n{}", text.get(start..).unwrap_or_default())
    }
}

impl Drop for Sipp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a socket listens at the port. Found without binding the port, which another process may be about to bind.
fn listens(port: u16, over_tcp: bool) -> bool {
    let files = if over_tcp { ["tcp", "tcp6"] } else { ["udp", "udp6"] };
    let (place, listening) = (format!(":{port:04X}"), "0A");
    files.iter().filter_map(|file| fs::read_to_string(format!("/proc/net/{file}")).ok()).any(|table| {
        table.lines().any(|line| {
            let mut words = line.split_whitespace().skip(1);
            let (local, state) = (words.next().unwrap_or_default(), words.nth(1).unwrap_or_default());
            local.ends_with(&place) && (!over_tcp || state == listening)
        })
    })
}

/// 127.0.0.1.
pub const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
