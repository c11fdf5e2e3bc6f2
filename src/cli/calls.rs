//! `ringworld calls`: lists the calls of a recording.

use super::output::print;
use super::{FAILED, fail, open};
use crate::inspect::{duration, utc};
use crate::replay::ReplayOptions;
use crate::trace::{ListedCall, calls};
use ringworld_components::kernel::Now;
use std::path::PathBuf;
use std::process::ExitCode;

/// The arguments of `ringworld calls`.
#[derive(clap::Args, Debug)]
pub struct CallsArgs {
    /// The recording.
    file: PathBuf,
}

/// Plays the recording and prints a line for each call. The exit code is 1 if the replay differs or the file is damaged:
/// then the calls until there are printed.
pub fn run(args: CallsArgs) -> ExitCode {
    let mut player = match open(&args.file, ReplayOptions::default()) {
        Ok(player) => player,
        Err(code) => return code,
    };
    let began_unix_ms = player.header().began_unix_ms;
    let (listed, played) = calls(&mut player);
    let end = player.engine().now();
    let mut text: String = listed.iter().map(|call| line(call, began_unix_ms, end)).collect();
    text.push_str(&format!("{} call(s); `ringworld trace FILE --call ID` shows one\n", listed.len()));
    print(&text);
    played.map_or_else(|error| fail(FAILED, error), |()| ExitCode::SUCCESS)
}

/// When it began, its names, its parties, how long it lasted, and how it ended.
fn line(call: &ListedCall, began_unix_ms: u64, end: Now) -> String {
    let began = utc(began_unix_ms.saturating_add(call.began.as_millis()));
    let way = if call.is_incoming { "in " } else { "out" };
    let answered = match call.answered {
        Some(at) => format!("answered after {}", duration(at.since(call.began))),
        None => "not answered".to_owned(),
    };
    let lasted = duration(call.ended.as_ref().map_or(end, |(at, _)| *at).since(call.began));
    let ending = call.ended.as_ref().map_or("goes on", |(_, how)| how.as_str());
    let ListedCall { session, from, to, call_id, .. } = call;
    format!("{began}  {way}  {session}  {call_id}\n    {from} -> {to}: {answered}, {lasted}, {ending}\n")
}
