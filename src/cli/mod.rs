//! The `ringworld` command: one file for each subcommand.
//!
//! Exit codes: 0 if all is right, 1 if what was asked for failed, 2 if the command line or the configuration is wrong.
//! An error is one sentence on standard error, which also says what to do next.

mod bench;
mod call;
mod calls;
mod config;
mod demo;
mod diff;
mod import;
mod inspect;
mod output;
mod replay;
mod run;
mod signals;
mod sim;
mod summary;
mod trace;

use crate::replay::{Player, ReplayError, ReplayOptions};
use clap::{Parser, Subcommand};
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

/// The exit code when what was asked for failed.
pub const FAILED: u8 = 1;

/// The exit code when the command line or the configuration is wrong.
pub const USAGE: u8 = 2;

/// A soft-switch whose calls live in a world that can be recorded and replayed.
#[derive(Parser, Debug)]
#[command(name = "ringworld", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run the switch until Ctrl-C, SIGTERM or SIGHUP.
    Run(run::RunArgs),
    /// Place one call, play and listen, and say whether all was as expected.
    Call(call::CallArgs),
    /// Start a switch and callers in one process, listen to what each hears, and replay the recording.
    Demo(demo::DemoArgs),
    /// Measure what the switch costs on this machine.
    Bench(bench::BenchArgs),
    /// Print the whole default configuration, or check a file.
    Config(config::ConfigArgs),
    /// Play a recording and check that it comes to the same digests.
    Replay(replay::ReplayArgs),
    /// Show what was in the world at a tick of a recording.
    Inspect(inspect::InspectArgs),
    /// List the calls of a recording.
    Calls(calls::CallsArgs),
    /// Show one call of a recording: messages, states and media, as text, as a picture, as a capture.
    Trace(trace::TraceArgs),
    /// Make a recording of a capture, with the engine in the place of one of its hosts.
    Import(import::ImportArgs),
    /// Run the switch among simulated user agents, from a seed, and check what must always hold.
    Sim(sim::SimArgs),
    /// Name the first tick and the first entity in which two recordings differ.
    Diff(diff::DiffArgs),
}

/// Reads the command line, does what it says, and returns the exit code. `RINGWORLD_LOG` chooses what is logged to
/// standard error (`debug`, `ringworld=trace` ...; warnings by default, nothing of a simulation).
pub fn main() -> ExitCode {
    let command = Cli::parse().command;
    let usual = if matches!(command, Command::Sim(_)) { "off" } else { "warn" };
    let filter = tracing_subscriber::EnvFilter::try_from_env("RINGWORLD_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(usual));
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).init();
    match command {
        Command::Run(args) => run::run(args),
        Command::Call(args) => call::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Config(args) => config::run(args),
        Command::Replay(args) => replay::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Calls(args) => calls::run(args),
        Command::Trace(args) => trace::run(args),
        Command::Import(args) => import::run(args),
        Command::Sim(args) => sim::run(args),
        Command::Diff(args) => diff::run(args),
    }
}

/// Says what is wrong, and what the exit code is.
fn fail(code: u8, sentence: impl std::fmt::Display) -> ExitCode {
    eprintln!("ringworld: {sentence}");
    ExitCode::from(code)
}

/// Opens a recording, or says what is wrong with it: a usage error if there is none.
fn open(file: &Path, options: ReplayOptions) -> Result<Player, ExitCode> {
    Player::open_with(file, options).map_err(|error| match error {
        ReplayError::Io { .. } | ReplayError::NotARecording { .. } => fail(USAGE, error),
        error => fail(FAILED, error),
    })
}
