//! `ringworld trace`: one call of a recording as a ladder, as a picture and as a capture.

use super::output::{print, write_whole};
use super::{FAILED, USAGE, fail, open};
use crate::replay::ReplayOptions;
use crate::trace::{Call, Trace, ladder, svg, trace, write_pcap};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The arguments of `ringworld trace`.
#[derive(clap::Args, Debug)]
pub struct TraceArgs {
    /// The recording.
    file: PathBuf,
    /// The call: its Call-ID, or its session, a name like #1f.
    #[arg(long, value_name = "ID")]
    call: String,
    /// Draw it, too.
    #[arg(long, value_name = "FILE.svg")]
    svg: Option<PathBuf>,
    /// Write its messages and packets as a capture that Wireshark opens, too.
    #[arg(long, value_name = "FILE.pcap")]
    pcap: Option<PathBuf>,
}

/// Plays the recording and prints the ladder. The exit code is 1 if there is no such call, if the replay differs or the
/// file is damaged (what was seen until then is shown), or if a file can't be written.
pub fn run(args: TraceArgs) -> ExitCode {
    let mut ways = Vec::new();
    if !args.call.starts_with('#') {
        ways.push(Call::Id(args.call.clone()));
    }
    ways.extend(args.call.parse().ok().map(Call::Session));
    if ways.is_empty() {
        return fail(USAGE, format_args!("{:?} is neither a Call-ID nor a session like #1f", args.call));
    }
    for call in ways {
        let mut player = match open(&args.file, ReplayOptions::default()) {
            Ok(player) => player,
            Err(code) => return code,
        };
        let (trace, played) = trace(&mut player, &call);
        if !trace.is_empty() {
            print(&ladder(&trace));
            if let Err(code) = write(&args, &trace) {
                return code;
            }
            return played.map_or_else(|error| fail(FAILED, error), |()| ExitCode::SUCCESS);
        }
        if let Err(error) = played {
            return fail(FAILED, error);
        }
    }
    fail(FAILED, format_args!("no call {} in the recording; `ringworld replay --events` names all sessions", args.call))
}

fn write(args: &TraceArgs, trace: &Trace) -> Result<(), ExitCode> {
    if let Some(path) = &args.svg {
        written(path, Ok(svg(trace).into_bytes()))?;
    }
    if let Some(path) = &args.pcap {
        let mut capture = Vec::new();
        written(path, write_pcap(trace, &mut capture).map(|()| capture))?;
    }
    Ok(())
}

fn written(path: &Path, content: io::Result<Vec<u8>>) -> Result<(), ExitCode> {
    content
        .and_then(|content| write_whole(path, &content))
        .map_err(|error| fail(FAILED, format_args!("{} can't be written: {error}", path.display())))
}
