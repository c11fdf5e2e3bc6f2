//! The command as a process, and what tests need around it.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ringworld::load::{self, Plan, Report, Service};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

pub fn ringworld(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ringworld")).args(arguments).output().expect("the command starts")
}

pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

pub fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A folder of its own, deleted at the end.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ringworld-cli-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running switch.
pub struct Running {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    pub greeting: Vec<String>,
}

impl Running {
    pub fn start(arguments: &[&str]) -> Self {
        Self::begin(Command::new(env!("CARGO_BIN_EXE_ringworld")).args(["run"]).args(arguments))
    }

    /// As [`Running::start`], with everything logged, and standard error in a file.
    pub fn logging(file: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringworld"));
        let errors = std::fs::File::create(file).unwrap();
        Self::begin(command.args(["run"]).args(arguments).env("RINGWORLD_LOG", "debug").stderr(errors))
    }

    /// Starts this command, which is to become the switch.
    pub fn begin(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut greeting = Vec::new();
        for line in lines.by_ref() {
            let line = line.unwrap();
            let is_last = line == "ready";
            greeting.push(line);
            if is_last {
                break;
            }
        }
        Self { child, lines, greeting }
    }

    pub fn udp(&self) -> SocketAddr {
        let address = self.greeting.iter().find_map(|line| line.strip_prefix("SIP over UDP on "));
        address.expect("an address in the greeting").parse().unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// The exit code and what was printed after the greeting.
    pub fn end(mut self) -> (Option<i32>, String) {
        let rest: Vec<String> = self.lines.by_ref().map_while(Result::ok).collect();
        (self.child.wait().unwrap().code(), rest.join("\n"))
    }
}

pub fn callers(address: SocketAddr, service: Service, hold: Duration) -> Report {
    let mut plan = Plan::new(address).with(service);
    plan.hold = hold;
    load::run(&plan, |_| ()).unwrap()
}

/// A caller that sends only what the test tells it to: no ACK and no response by itself.
pub struct Caller {
    socket: UdpSocket,
    switch: SocketAddr,
    name: &'static str,
}

impl Caller {
    pub fn new(name: &'static str, switch: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
        Self { socket, switch, name }
    }

    pub fn send(&self, method: &str, to_tag: &str, body: &str) {
        let (here, switch, name) = (self.socket.local_addr().unwrap(), self.switch, self.name);
        let request = format!(
            "{method} sip:echo@{switch} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK-{name}-{method}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{name}@{here}>;tag=g\r\nTo: <sip:echo@{switch}>{to_tag}\r\nCall-ID: {name}\r\n\
             CSeq: 1 {method}\r\nContact: <sip:{name}@{here}>\r\nContent-Type: application/sdp\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.socket.send_to(request.as_bytes(), switch).unwrap();
    }

    pub fn invite(&self) {
        let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9000 RTP/AVP 0\r\n";
        self.send("INVITE", "", sdp);
    }

    /// The next message that begins like this.
    pub fn hears(&self, start: &str) -> String {
        let mut message = [0; 4_000];
        loop {
            let length = self.socket.recv(&mut message).unwrap_or_else(|error| panic!("{start}: {error}"));
            let text = String::from_utf8_lossy(&message[..length]).into_owned();
            if text.starts_with(start) {
                return text;
            }
        }
    }
}
