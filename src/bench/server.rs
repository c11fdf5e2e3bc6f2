//! The process that is measured: started, queried and stopped by the measuring process.
//!
//! It is this program again. Its configuration goes to its standard input as one line of JSON; it answers with the
//! address that it listens on and the number of calls that it has taken up, then answers `status` with its summary as
//! JSON, and `stop` with the last one. If the measuring process is killed, the input of this one ends, and it stops.

use super::BenchError;
use super::machine::pin;
use super::usage::Usage;
use crate::config::{Config, SipListen};
use crate::engine::{HandOver, Switch};
use crate::load::{Answerer, Behaviour};
use crate::state::Successor;
use crossbeam::channel::{Receiver, RecvTimeoutError, bounded};
use ringworld_components::edge::Transport;
use serde_json::Value;
use std::io::{BufRead, BufReader, Write, stdin, stdout};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

const ASK: &str = "status";
const STOP: &str = "stop";
const WRITE_FLIGHT: &str = "flight";
const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// How often the server checks whether another process wants to take over.
const LOOK: Duration = Duration::from_millis(50);

/// A child process; killed when dropped.
pub(super) struct Server {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Where it listens for SIP over UDP.
    pub address: SocketAddr,
    /// Calls that go on from an earlier life.
    pub taken_up: u64,
}

impl Server {
    /// Starts a switch on a core. Its addresses are chosen here: loopback, any port.
    pub fn switch(core: usize, mut config: Config) -> Result<Self, BenchError> {
        config.network.sip = vec![SipListen { transport: Transport::Udp, address: LOOPBACK }];
        Self::start(&["switch"], core, &json(&config)?)
    }

    /// Starts a switch whose configuration says where it listens; or has it take over from the one that runs there.
    pub fn switch_there(core: usize, config: &Config, takes_over: bool) -> Result<Self, BenchError> {
        let what = if takes_over { &["switch", "--take-over"][..] } else { &["switch"] };
        Self::start(what, core, &json(config)?)
    }

    /// Starts a plain program that answers calls and sends each packet back: what the same traffic costs without a
    /// switch.
    pub fn echo(core: usize) -> Result<Self, BenchError> {
        Self::start(&["echo"], core, "")
    }

    fn start(what: &[&str], core: usize, config: &str) -> Result<Self, BenchError> {
        let program = std::env::current_exe().map_err(BenchError::while_doing("finding this program"))?;
        let mut child = Command::new(program)
            .arg("bench")
            .args(what)
            .args(["--core", &core.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(BenchError::while_doing("starting the process to measure"))?;
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(BenchError::new("the process to measure has no pipes"));
        };
        // If it has ended already, the next read fails.
        let _ = writeln!(input, "{config}");
        let mut server = Self { child, input, output: BufReader::new(output), address: LOOPBACK, taken_up: 0 };
        let first = server.line()?;
        let words = first.trim().split_once(' ');
        let greeting = words.and_then(|(address, calls)| Some((address.parse().ok()?, calls.parse().ok()?)));
        let unusual = || BenchError::new(format!("the process to measure said {first:?} instead of its address"));
        (server.address, server.taken_up) = greeting.ok_or_else(unusual)?;
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

    /// Has the flight recording written out, and says where it is, or why there is none.
    pub fn write_flight(&mut self) -> Result<Result<PathBuf, String>, BenchError> {
        let told = self.ask(WRITE_FLIGHT)?;
        serde_json::from_value(told).map_err(BenchError::while_doing("reading where the flight recording is"))
    }

    /// `kill -9`.
    pub fn kill(self) {
        drop(self);
    }

    /// Waits until it has ended by itself: another has taken over.
    pub fn wait_for_end(mut self) {
        let _ = self.child.wait();
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

fn json(config: &Config) -> Result<String, BenchError> {
    serde_json::to_string(config).map_err(BenchError::while_doing("writing the configuration"))
}

/// The child's side of `Server::switch`.
pub fn serve_switch(core: usize, takes_over: bool) -> Result<(), BenchError> {
    pin(core)?;
    let mut line = String::new();
    stdin().read_line(&mut line).map_err(BenchError::while_doing("reading the configuration"))?;
    let config: Config = serde_json::from_str(&line).map_err(BenchError::while_doing("reading the configuration"))?;
    let switch = match takes_over {
        true => Switch::take_over(&config, Arc::new(|_| {})),
        false => Switch::start(&config),
    };
    let mut switch = switch.map_err(BenchError::new)?;
    let address = switch.sip_addresses().first().map_or(LOOPBACK, |(_, address)| *address);
    let door = switch.open_door().transpose().map_err(BenchError::new)?;
    say(&format_args!("{address} {}", switch.taken_up().0));
    let questions = questions();
    loop {
        match questions.recv_timeout(LOOK) {
            Ok(question) if question == WRITE_FLIGHT => {
                say(&serde_json::to_value(switch.write_flight().into_iter().next()).unwrap_or_default());
            }
            Ok(question) if question != STOP => {
                say(&serde_json::to_value(switch.status().into_iter().next()).unwrap_or_default());
            }
            Ok(_) | Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                let Some(stream) = door.as_ref().and_then(|door| door.knock()) else { continue };
                let successor = Successor::greet(stream).map_err(BenchError::new)?;
                match switch.hand_over(&successor).map_err(BenchError::new)? {
                    HandOver::Gone(..) => return Ok(()),
                    HandOver::Stays(stays, why) => {
                        eprintln!("ringworld: it was not taken over: {why}");
                        switch = *stays;
                    }
                }
            }
        }
    }
    say(&serde_json::to_value(switch.stop()).unwrap_or_default());
    Ok(())
}

/// The lines that come in; the channel ends with them.
fn questions() -> Receiver<String> {
    let (tell, told) = bounded(1);
    std::thread::spawn(move || stdin().lock().lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
    told
}

/// The child's side of `Server::echo`.
pub fn serve_echo(core: usize) -> Result<(), BenchError> {
    pin(core)?;
    stdin().read_line(&mut String::new()).map_err(BenchError::while_doing("reading the configuration"))?;
    let answerer = Answerer::start(LOOPBACK, Behaviour::Echo, None).map_err(BenchError::while_doing("listening"))?;
    say(&format_args!("{} 0", answerer.address()));
    // Until it is told to stop, or its input ends.
    stdin().lock().lines().map_while(Result::ok).take_while(|line| line != STOP).for_each(|_| say(&Value::Null));
    say(&Value::Null);
    Ok(())
}

/// Writes a line. If the reader is gone, the next read shows it.
fn say(what: &impl std::fmt::Display) {
    let mut out = stdout().lock();
    let _ = writeln!(out, "{what}").and_then(|()| out.flush());
}
