//! The command as a process, and what tests need around it.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ringworld::load::{self, Plan, Report, Service};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
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
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringworld"));
        let mut child = command.arg("run").args(arguments).stdout(Stdio::piped()).spawn().unwrap();
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
