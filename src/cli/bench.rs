//! `ringworld bench`: what the switch costs on this machine.

use super::output::print;
use super::{FAILED, fail};
use crate::bench::calls::CallsBench;
use crate::bench::idle::IdleBench;
use crate::bench::rooms::RoomsBench;
use crate::bench::rtp::RtpBench;
use crate::bench::sim::SimBench;
use crate::bench::state::StateBench;
use crate::bench::{BenchError, Cores, Figures, serve_echo, serve_switch};
use std::process::ExitCode;

/// The arguments of `ringworld bench`. The switch runs in a process of its own on one core, the callers on another.
/// Exits with 1 if a call failed or was heard wrong; a target for speed that is missed is only shown, as it depends on
/// the machine.
#[derive(clap::Args, Debug)]
pub struct BenchArgs {
    /// Do little, for a few seconds: to see that it works.
    #[arg(long, global = true)]
    short: bool,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand, Debug)]
enum What {
    /// Calls without hold: failures, CPU a call, memory of a transaction.
    Calls {
        /// New calls a second [default: 5000, short: 500].
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
        rate: Option<u32>,
        /// Seconds [default: 25, short: 3].
        #[arg(long, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=3_600))]
        seconds: Option<u32>,
        /// Let SIPp's built-in uac call (-d 0) instead of our own callers.
        #[arg(long)]
        sipp: bool,
        /// Do the same again with a switch that records, and compare.
        #[arg(long)]
        record: bool,
        /// Do the same again without the flight recorder, and with one whose follower has to work, and compare.
        #[arg(long)]
        flight: bool,
    },
    /// Echo: loss, CPU a packet, delay; beside a plain echo program.
    Rtp {
        /// Calls of 50 packets a second each way [default: 500, short: 50].
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4_000))]
        calls: Option<u32>,
        /// Seconds of steady state [default: 20, short: 3].
        #[arg(long, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=3_600))]
        seconds: Option<u32>,
    },
    /// Rooms in which all participants talk: what each hears, loss, CPU a leg. One of 500 and fifty of ten by default.
    Rooms {
        /// Rooms.
        #[arg(long, value_name = "N", requires = "members", value_parser = clap::value_parser!(u32).range(1..=1_000))]
        rooms: Option<u32>,
        /// Participants of each.
        #[arg(long, value_name = "N", requires = "rooms", value_parser = clap::value_parser!(u32).range(2..=4_000))]
        members: Option<u32>,
        /// Seconds of steady state [default: 20, short: 3].
        #[arg(long, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=3_600))]
        seconds: Option<u32>,
    },
    /// Waiting: an unused switch, held calls, silent rooms, the tick with 1,000 and 100,000 sessions.
    Idle {
        /// Held calls [default: 5000, short: 200].
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=9_000))]
        calls: Option<u32>,
        /// Silent rooms [default: 10000, short: 200].
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
        rooms: Option<u32>,
        /// Seconds that each is watched [default: 10, short: 2].
        #[arg(long, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=3_600))]
        seconds: Option<u32>,
    },
    /// A state folder: what it costs, a kill and a new start, a take-over; beside a switch without one.
    State {
        /// Calls that last [default: 10000, short: 200].
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
        calls: Option<u32>,
        /// How many of them talk, 50 packets a second each way [default: 200, short: 20].
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=2_000))]
        audio: Option<u32>,
        /// New calls a second besides, without hold [default: 500, short: 50].
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=20_000))]
        rate: Option<u32>,
        /// Seconds that each switch is watched before it is killed [default: 20, short: 5].
        #[arg(long, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=180))]
        seconds: Option<u32>,
    },
    /// The simulator, with light faults, on one thread: time on the wall and CPU time.
    Sim {
        /// User agents [default: 1000, short: 100].
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=60_000))]
        agents: Option<u32>,
        /// Simulated minutes [default: 10, short: 1].
        #[arg(long, value_name = "M", value_parser = clap::value_parser!(u32).range(1..=1_440))]
        minutes: Option<u32>,
        /// Decides everything.
        #[arg(long, value_name = "N", default_value_t = 1)]
        seed: u64,
    },
    /// The switch that is measured; started by the others.
    #[command(hide = true)]
    Switch {
        #[arg(long)]
        core: usize,
        #[arg(long)]
        take_over: bool,
    },
    /// The plain echo program; started by `rtp`.
    #[command(hide = true)]
    Echo {
        #[arg(long)]
        core: usize,
    },
}

/// Measures and prints.
pub fn run(args: BenchArgs) -> ExitCode {
    let measured = match args.what {
        What::Switch { core, take_over } => return child(serve_switch(core, take_over)),
        What::Echo { core } => return child(serve_echo(core)),
        what => measure(what, args.short),
    };
    let all = match measured {
        Ok(all) => all,
        Err(error) => return fail(FAILED, error),
    };
    if args.json {
        match serde_json::to_string_pretty(&all) {
            Ok(json) => print(&format!("{json}\n")),
            Err(error) => return fail(FAILED, format_args!("the figures can't be written: {error}")),
        }
    } else {
        all.iter().for_each(|figures| print(&format!("{}\n", figures.text())));
    }
    if all.iter().all(Figures::all_right) { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
}

fn child(served: Result<(), BenchError>) -> ExitCode {
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(FAILED, error),
    }
}

fn measure(what: What, short: bool) -> Result<Vec<Figures>, BenchError> {
    let or = |given: Option<u32>, long: u32, brief: u32| given.unwrap_or(if short { brief } else { long });
    let cores = Cores::take()?;
    let size = |given, long, brief| or(given, long, brief) as usize;
    match what {
        What::Calls { rate, seconds, sipp, record, flight } => {
            let (rate_per_s, seconds) = (or(rate, 5_000, 500), or(seconds, 25, 3));
            Ok(vec![CallsBench { rate_per_s, seconds, sipp, record, flight }.run(cores)?])
        }
        What::Rtp { calls, seconds } => {
            Ok(vec![RtpBench { calls: size(calls, 500, 50), seconds: or(seconds, 20, 3) }.run(cores)?])
        }
        What::Rooms { rooms: Some(rooms), members: Some(members), seconds } => {
            let (rooms, members, seconds) = (rooms as usize, members as usize, or(seconds, 20, 3));
            Ok(vec![RoomsBench { rooms, members, seconds }.run(cores)?])
        }
        What::Rooms { seconds, .. } => {
            let seconds = or(seconds, 20, 3);
            let sizes = if short { [(1, 50), (5, 10)] } else { [(1, 500), (50, 10)] };
            sizes.into_iter().map(|(rooms, members)| RoomsBench { rooms, members, seconds }.run(cores)).collect()
        }
        What::Idle { calls, rooms, seconds } => {
            let (calls, rooms) = (size(calls, 5_000, 200), size(rooms, 10_000, 200));
            let ticks = if short { 2_000 } else { 20_000 };
            IdleBench { calls, rooms, seconds: or(seconds, 10, 2), ticks }.run(cores)
        }
        What::State { calls, audio, rate, seconds } => {
            let calls = size(calls, 10_000, 200);
            let audio = size(audio, 200, 20).min(calls);
            let (rate_per_s, seconds) = (or(rate, 500, 50), or(seconds, 20, 5));
            Ok(vec![StateBench { calls, audio, rate_per_s, seconds }.run(cores)?])
        }
        What::Sim { agents, minutes, seed } => {
            let (agents, minutes) = (or(agents, 1_000, 100), or(minutes, 10, 1));
            Ok(vec![SimBench { seed, agents, minutes }.run(cores)?])
        }
        What::Switch { .. } | What::Echo { .. } => Ok(Vec::new()),
    }
}
