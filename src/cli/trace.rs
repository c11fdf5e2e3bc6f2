//! `ringworld trace`: one call of a recording as a ladder, as a picture and as a capture.

use super::output::{print, write_whole};
use super::{FAILED, USAGE, fail, open};
use crate::replay::ReplayOptions;
use crate::trace::{Call, Trace, ladder, svg, trace, write_pcap};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Calls that are named when none, or more than one, is meant.
const NAMED_MAX: usize = 8;

/// The arguments of `ringworld trace`.
#[derive(clap::Args, Debug)]
pub struct TraceArgs {
    /// The recording.
    file: PathBuf,
    /// The call, as `ringworld calls` lists them: its Call-ID, or as much of it as no other begins with, or its session, a name like #1f.
    #[arg(long, value_name = "ID")]
    call: String,
    /// Draw it, too.
    #[arg(long, value_name = "FILE.svg")]
    svg: Option<PathBuf>,
    /// Write its messages and packets as a capture that Wireshark opens, too.
    #[arg(long, value_name = "FILE.pcap")]
    pcap: Option<PathBuf>,
}

/// Plays the recording and prints the ladder. The exit code is 1 if there is no such call or several may be meant, if
/// the replay differs or the file is damaged (what was seen until then is shown), or if a file can't be written.
pub fn run(args: TraceArgs) -> ExitCode {
    let name = args.call.as_str();
    let mut ways = Vec::new();
    if !name.starts_with('#') {
        ways.push(Call::Id(name.to_owned()));
    }
    ways.extend(name.parse().ok().map(Call::Session));
    if ways.is_empty() || name.is_empty() {
        return fail(USAGE, format_args!("{name:?} is neither a Call-ID nor a session like #1f"));
    }
    let mut others = BTreeSet::new();
    for call in ways {
        match show(&args, &call) {
            Ok(Shown::Call(code)) => return code,
            Ok(Shown::Nothing(found)) => others = found,
            Err(code) => return code,
        }
    }
    let meant: Vec<&String> = others.iter().filter(|id| id.starts_with(name)).collect();
    match meant.as_slice() {
        [one] => match show(&args, &Call::Id((*one).clone())) {
            Ok(Shown::Call(code)) | Err(code) => code,
            Ok(Shown::Nothing(_)) => fail(FAILED, format_args!("no call {one} in the recording")),
        },
        [] if others.is_empty() => {
            fail(FAILED, format_args!("no call {name} in the recording: there is no call in it"))
        }
        [] => fail(FAILED, format_args!("no call {name} in the recording; it holds {}", some_of(others.iter()))),
        several => {
            let several = some_of(several.iter().copied());
            fail(FAILED, format_args!("{name} may be several calls: {several}; write more of it"))
        }
    }
}

enum Shown {
    Call(ExitCode),
    /// There is no such call; these are there.
    Nothing(BTreeSet<String>),
}

/// Plays the recording and shows the call, if it is in there.
fn show(args: &TraceArgs, call: &Call) -> Result<Shown, ExitCode> {
    let mut player = open(&args.file, ReplayOptions::default())?;
    let (trace, played) = trace(&mut player, call);
    if trace.is_empty() {
        return played.map_or_else(|error| Err(fail(FAILED, error)), |()| Ok(Shown::Nothing(trace.others)));
    }
    print(&ladder(&trace));
    write(args, &trace)?;
    Ok(Shown::Call(played.map_or_else(|error| fail(FAILED, error), |()| ExitCode::SUCCESS)))
}

/// The first few Call-IDs.
fn some_of<'t>(ids: impl ExactSizeIterator<Item = &'t String>) -> String {
    let count = ids.len();
    let mut text = ids.take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
    if count > NAMED_MAX {
        text.push_str(&format!(" and {} more", count - NAMED_MAX));
    }
    text
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
