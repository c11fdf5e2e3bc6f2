//! The process that is measured: started, asked and stopped by the one that measures.
//!
//! It is this program again. Its configuration goes to its standard input as one line of JSON; it answers with the address
//! that it listens on, then answers `status` with its summary as JSON, and `stop` with the last one. Should the measuring
//! process die, its input ends, and so does it.

use super::BenchError;
use super::machine::pin;
use super::usage::Usage;
use crate::config::{Config, SipListen};
use crate::engine::Switch;
use crate::load::{Answerer, Behaviour};
use ringworld_components::edge::Transport;
use serde_json::Value;
use std::io::{BufRead, BufReader, Write, stdin, stdout};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const ASK: &str = "status";
const STOP: &str = "stop";
const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A child process; killed when dropped.
pub(super) struct Server {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Where it listens for SIP over UDP.
    pub address: SocketAddr,
}

impl Server {
    /// Starts a switch on a core. Its addresses are chosen here: loopback, any port.
    pub fn switch(core: usize, mut config: Config) -> Result<Self, BenchError> {
        config.network.sip = vec![SipListen { transport: Transport::Udp, address: LOOPBACK }];
        let config = serde_json::to_string(&config).map_err(BenchError::while_doing("writing the configuration"))?;
        Self::start("switch", core, &config)
    }

    /// Starts a plain program that answers calls and sends each packet back: what the same traffic costs without a switch.
    pub fn echo(core: usize) -> Result<Self, BenchError> {
        Self::start("echo", core, "")
    }

    fn start(what: &str, core: usize, config: &str) -> Result<Self, BenchError> {
        let program = std::env::current_exe().map_err(BenchError::while_doing("finding this program"))?;
        let mut child = Command::new(program)
            .args(["bench", what, "--core", &core.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(BenchError::while_doing("starting the process to measure"))?;
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(BenchError::new("the process to measure has no pipes"));
        };
        // Should it have ended already, the next read says so.
        let _ = writeln!(input, "{config}");
        let mut server = Self { child, input, output: BufReader::new(output), address: LOOPBACK };
        let first = server.line()?;
        let unusual = |_| BenchError::new(format!("the process to measure said {first:?} instead of its address"));
        server.address = first.trim().parse().map_err(unusual)?;
        Ok(server)
    }

    fn line(&mut self) -> Result<String, BenchError> {
        let mut line = String::new();
        match self.output.read_line(&mut line) {
            Ok(0) | Err(_) => Err(BenchError::new("the process to measure has ended; it should have said why above")),
            Ok(_) => Ok(line),
        }
    }

    fn ask(&mut self, what: &str) -> Result<Value, BenchError> {
        let _ = writeln!(self.input, "{what}");
        let line = self.line()?;
        serde_json::from_str(&line).map_err(BenchError::while_doing("reading the summary"))
    }

    /// What it has used so far.
    pub fn usage(&self) -> Usage {
        Usage::of(self.child.id())
    }

    /// Its summary, as of some milliseconds ago.
    pub fn status(&mut self) -> Result<Value, BenchError> {
        self.ask(ASK)
    }

    /// Stops it, calls and all; its last summary.
    pub fn stop(mut self) -> Result<Value, BenchError> {
        let last = self.ask(STOP);
        let _ = self.child.wait();
        last
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A number of a summary by its path, 0 if there is none.
pub(super) fn count(summary: &Value, path: &str) -> f64 {
    summary.pointer(path).and_then(Value::as_f64).unwrap_or(0.0)
}

/// The child's side of `Server::switch`.
pub fn serve_switch(core: usize) -> Result<(), BenchError> {
    pin(core)?;
    let mut line = String::new();
    stdin().read_line(&mut line).map_err(BenchError::while_doing("reading the configuration"))?;
    let config: Config = serde_json::from_str(&line).map_err(BenchError::while_doing("reading the configuration"))?;
    let switch = Switch::start(&config).map_err(BenchError::new)?;
    let address = switch.sip_addresses().first().map_or(LOOPBACK, |(_, address)| *address);
    answer_questions(address, || serde_json::to_value(switch.status().into_iter().next()));
    say(&serde_json::to_value(switch.stop()).unwrap_or_default());
    Ok(())
}

/// The child's side of `Server::echo`.
pub fn serve_echo(core: usize) -> Result<(), BenchError> {
    pin(core)?;
    stdin().read_line(&mut String::new()).map_err(BenchError::while_doing("reading the configuration"))?;
    let answerer = Answerer::start(LOOPBACK, Behaviour::Echo, None).map_err(BenchError::while_doing("listening"))?;
    answer_questions(answerer.address(), || Ok(Value::Null));
    say(&Value::Null);
    Ok(())
}

/// Until told to stop, or nobody is left to tell.
fn answer_questions(address: SocketAddr, status: impl Fn() -> serde_json::Result<Value>) {
    say(&address);
    for line in stdin().lock().lines().map_while(Result::ok) {
        if line == STOP {
            break;
        }
        say(&status().unwrap_or_default());
    }
}

/// Writes a line. That nobody reads it shows at the next reading.
fn say(what: &impl std::fmt::Display) {
    let mut out = stdout().lock();
    let _ = writeln!(out, "{what}").and_then(|()| out.flush());
}
