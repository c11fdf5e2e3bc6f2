//! `ringworld import`: a capture becomes a recording, with the engine in the place of one of its hosts.

use super::output::print;
use super::{FAILED, USAGE, fail};
use crate::config::Config;
use crate::import::{ImportError, Local, import};
use std::path::PathBuf;
use std::process::ExitCode;

/// The arguments of `ringworld import`.
#[derive(clap::Args, Debug)]
pub struct ImportArgs {
    /// The capture, pcap or pcapng.
    capture: PathBuf,
    /// The host that the engine stands in for, as ADDRESS, or as ADDRESS:PORT of its SIP if it is not alone there.
    #[arg(long, value_name = "ADDR")]
    local: Local,
    /// The recording to write.
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// The configuration of the engine; `ringworld config` prints one with all defaults.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Imports, and prints what was used and which answers differ. The exit code is 1 if nothing in the capture is for the
/// host or the recording can't be written, 2 if the capture can't be read; differences are no failure.
pub fn run(args: ImportArgs) -> ExitCode {
    let config = match args.config.as_deref().map_or_else(|| Ok(Config::default()), Config::load) {
        Ok(config) => config,
        Err(error) => return fail(USAGE, error),
    };
    match import(&args.capture, args.local, &config, &args.out) {
        Ok(report) => {
            print(&format!("{report}the recording is in {}\n", args.out.display()));
            ExitCode::SUCCESS
        }
        Err(error @ ImportError::NothingForUs { .. }) => {
            if let ImportError::NothingForUs { account, .. } = &error {
                print(&format!("{account}\n"));
            }
            fail(FAILED, error)
        }
        Err(error @ ImportError::Record(_)) => fail(FAILED, error),
        Err(error) => fail(USAGE, error),
    }
}
