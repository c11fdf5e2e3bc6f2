//! `ringworld replay`: replays a recording and reports whether the result is the same.

use super::output::print;
use super::{FAILED, fail, open};
use crate::inspect;
use crate::replay::{Claims, Ending, Executor, Player, ReplayError, ReplayOptions, TickReport};
use ringworld_components::edge::{Event, Output};
use ringworld_components::kernel::{Now, StableId, TICK};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The arguments of `ringworld replay`.
#[derive(clap::Args, Debug)]
pub struct ReplayArgs {
    /// The recording.
    file: PathBuf,
    /// Stop at this tick (200 a second).
    #[arg(long, value_name = "TICK")]
    to: Option<u64>,
    /// Print what this entity holds where the replay stops: a name like #1f, as in events.
    #[arg(long, value_name = "ID")]
    inspect: Option<StableId>,
    /// Print every event with its tick.
    #[arg(long)]
    events: bool,
    /// Run the systems of a tick on several threads; the world must not care.
    #[arg(long)]
    multi_threaded: bool,
}

/// Plays the recording. The exit code is 0 if all is as recorded, 1 if a tick differs or the file is damaged, 2 if it
/// can't be opened.
pub fn run(args: ReplayArgs) -> ExitCode {
    let executor = if args.multi_threaded { Executor::MultiThreaded } else { Executor::SingleThreaded };
    let mut player = match open(&args.file, ReplayOptions { executor, ..ReplayOptions::default() }) {
        Ok(player) => player,
        Err(code) => return code,
    };
    let start = player.tick();
    let began = Instant::now();
    let played = play(&mut player, &args);
    let took = began.elapsed();
    let mut text = match &played {
        Ok(()) => agreed(&player),
        Err(_) => String::new(),
    };
    text.push_str(&figures(&player, start, took));
    if let Some(id) = args.inspect {
        match inspect::entity(player.engine().world(), id) {
            Some(lines) => text.push_str(&format!("entity {id} at tick {}:\n{lines}", player.tick())),
            None => {
                print(&text);
                return fail(FAILED, format_args!("there is no entity {id} at tick {}", player.tick()));
            }
        }
    }
    print(&text);
    match played {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(FAILED, error),
    }
}

fn play(player: &mut Player, args: &ReplayArgs) -> Result<(), ReplayError> {
    let to = args.to.unwrap_or(u64::MAX);
    while player.next_tick()?.is_some_and(|next| next <= to) {
        if let Some(report) = player.step()?.filter(|_| args.events) {
            print(&events(&report));
        }
    }
    Ok(())
}

fn agreed(player: &Player) -> String {
    let what = match player.claims() {
        Claims::ControlAndMedia => "signalling and packets are as recorded, at every tick",
        Claims::Control => "signalling is as recorded, at every tick; the recording holds no payloads to compare",
    };
    let ending = match player.footer().map(|footer| footer.ending) {
        None | Some(Ending::Finished) => "",
        Some(Ending::SizeCap) => "; the recording ends here because it had reached its largest size",
        Some(Ending::Panicked) => "; the recording ends here because the world broke",
        Some(Ending::Overrun) => "; the recording ends here because the disk could not keep up",
    };
    format!("{what}{ending}\n")
}

fn figures(player: &Player, start: u64, took: Duration) -> String {
    let (tick, counters) = (player.tick(), player.engine().counters());
    let lived = Now(tick).since(Now(start));
    let speed = lived.as_millis() / took.as_millis().max(1);
    let census = player.engine().census();
    format!(
        "ticks {} (to tick {tick}, {:.1} s of {} ms), calls {} in, {} out; {} sessions are open\n\
         played in {:.2} s, {speed} times as fast as it happened\n",
        player.ticks(),
        lived.as_secs_f64(),
        TICK.as_millis(),
        counters.calls_in,
        counters.calls_out,
        census.sessions,
        took.as_secs_f64(),
    )
}

fn events(report: &TickReport) -> String {
    let seconds = Now(report.tick).as_millis() as f64 / 1000.0;
    let events = report.control.iter().filter_map(|output| match output {
        Output::Event(event) => Some(event),
        _ => None,
    });
    events.map(|event| format!("{:>8} {seconds:>10.3} s  {}\n", report.tick, in_words(event))).collect()
}

fn in_words(event: &Event) -> String {
    match event {
        Event::Incoming { session, from, to, call_id } => {
            format!("{session} comes in from {from} to {to}, Call-ID {call_id}")
        }
        Event::StateChanged { session, from, to } => format!("{session} {from:?} -> {to:?}"),
        Event::Answered { session } => format!("{session} is answered"),
        Event::MediaEstablished { session, codec, remote } => format!("{session} has {codec} with {remote}"),
        Event::Digit { session, digit, duration_ms } => format!("{session} hears digit {digit} of {duration_ms} ms"),
        Event::Ended { session, cause, status: 0 } => format!("{session} ended: {}", cause.as_str()),
        Event::Ended { session, cause, status } => format!("{session} ended: {} with {status}", cause.as_str()),
    }
}
