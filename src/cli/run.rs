//! `ringworld run`: the switch.

use super::output::{print, write_whole};
use super::signals::{Signals, Wish};
use super::{FAILED, USAGE, fail, summary};
use crate::config::{Config, ConfigError, PortRange, RecordMedia, SipListen};
use crate::engine::{HandOver, Summary, Switch};
use crate::state::{Door, Successor};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long calls may take to end after the first signal.
const DRAIN_PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked whether the worlds are still there.
const LOOK: Duration = Duration::from_millis(200);

/// How often the end of the calls is looked for.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// The arguments of `ringworld run`. What is given here overrides the file.
#[derive(clap::Args, Debug, Default)]
#[command(after_help = more_help())]
pub struct RunArgs {
    /// The configuration; `ringworld config` prints one with all defaults.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to listen for SIP, as udp:ADDRESS:PORT or tcp:ADDRESS:PORT; may be given several times.
    #[arg(long, value_name = "udp:ADDR|tcp:ADDR")]
    sip: Vec<SipListen>,
    /// The RTP ports, as FIRST-LAST.
    #[arg(long, value_name = "A-B")]
    rtp_ports: Option<PortRange>,
    /// How many worlds there are, each with its own thread and recording.
    #[arg(long, value_name = "N")]
    worlds: Option<u8>,
    /// The file to record into. One that is there already gets another name, with a number behind it.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// How much of RTP to record: off, headers or full.
    #[arg(long, value_name = "off|headers|full")]
    record_media: Option<RecordMedia>,
    /// The folder that calls survive a restart in.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Take over from the process that runs on the state folder, calls and all.
    #[arg(long, requires = "state")]
    take_over: bool,
    /// Write the summary as JSON, too.
    #[arg(long, value_name = "FILE")]
    summary: Option<PathBuf>,
}

/// Defaults, signals and the environment, for `--help`.
fn more_help() -> String {
    let Config { network, record, .. } = Config::default();
    let sip: Vec<String> = network.sip.iter().map(ToString::to_string).collect();
    format!(
        "Defaults, where neither the file nor an argument says otherwise:
  --sip {}
  --rtp-ports {}
  --worlds {}
  --record-media {}, if there is a --record
  no recording, no state folder, no summary in a file

Signals:
  SIGINT, SIGTERM, SIGHUP  refuse new calls, end the others with BYE, print the summary, and stop;
                           a second one stops at once (SIGHUP does nothing under nohup)
  SIGUSR1                  write what the flight recorder of each world holds into a file

Environment:
  RINGWORLD_LOG            what is logged to standard error: error, warn (the default), info, debug, trace,
                           or by module, as in ringworld_systems=debug
  NO_COLOR                 if set, no colours in the log on a terminal",
        sip.join(" --sip "),
        network.rtp_ports,
        network.worlds,
        format!("{:?}", record.media).to_lowercase(),
    )
}

impl RunArgs {
    fn configuration(&self) -> Result<Config, ConfigError> {
        let mut config = match &self.config {
            Some(file) => Config::load(file)?,
            None => Config::default(),
        };
        if !self.sip.is_empty() {
            config.network.sip.clone_from(&self.sip);
        }
        config.network.rtp_ports = self.rtp_ports.unwrap_or(config.network.rtp_ports);
        config.network.worlds = self.worlds.unwrap_or(config.network.worlds);
        config.record.media = self.record_media.unwrap_or(config.record.media);
        if let Some(file) = &self.record {
            config.record.file.clone_from(file);
        }
        if let Some(folder) = &self.state {
            config.state.folder.clone_from(folder);
        }
        // No handler decides here, and calls would wait for one in vain.
        config.services.ask_handler = false;
        config.check()?;
        Ok(config)
    }
}

/// Runs the switch until a signal.
pub fn run(args: RunArgs) -> ExitCode {
    let config = match args.configuration() {
        Ok(config) => config,
        Err(error) => return fail(USAGE, error),
    };
    // Before the switch, so that every signal that arrives is handled.
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return fail(FAILED, format_args!("signals can't be waited for: {error}")),
    };
    let started = match args.take_over {
        true => Switch::take_over(&config, Arc::new(|_| {})),
        false => Switch::start(&config),
    };
    let switch = match started {
        Ok(switch) => switch,
        Err(error) => return fail(FAILED, error),
    };
    for note in switch.taken_up().1 {
        eprintln!("ringworld: {note}");
    }
    print(&greeting(&config, &switch));
    let switch = match serve(switch, &mut signals) {
        Served::Told(switch) => switch,
        Served::Broken(switch, why) => {
            switch.stop();
            return fail(FAILED, format_args!("a world stopped by itself: {why}"));
        }
        Served::Gone(code) => return code,
    };
    print("ending all calls (a second signal stops at once) ...\n");
    let ended = drain(switch, &mut signals);
    print(&summary::text(&ended));
    let written = args.summary.as_deref().map_or(ExitCode::SUCCESS, |path| write_summary(path, &ended));
    match ended.defects.first().or(ended.state.as_ref().and_then(|state| state.failed.as_ref())) {
        Some(why) => fail(FAILED, why),
        None => written,
    }
}

/// Why the switch is no longer served.
enum Served {
    /// A signal asks for it.
    Told(Switch),
    /// A world stopped by itself.
    Broken(Switch, String),
    /// Another process has taken over.
    Gone(ExitCode),
}

/// Runs until a signal ends it, a world stops by itself, or another process takes over.
fn serve(mut switch: Switch, signals: &mut Signals) -> Served {
    let door = match switch.open_door() {
        None => None,
        Some(Ok(door)) => Some(door),
        Some(Err(error)) => {
            eprintln!("ringworld: no process will be able to take over: {error}");
            None
        }
    };
    loop {
        match signals.wait_for(LOOK) {
            Some(Wish::End) => {
                door.into_iter().for_each(Door::close);
                return Served::Told(switch);
            }
            Some(Wish::WriteFlight) => {
                for written in switch.write_flight() {
                    print(&match written {
                        Ok(path) => format!("the flight recording is in {}\n", path.display()),
                        Err(error) => format!("there is no flight recording: {error}\n"),
                    });
                }
            }
            None => {}
        }
        if let Some(why) = switch.failure() {
            return Served::Broken(switch, why);
        }
        if let Some(stream) = door.as_ref().and_then(Door::knock) {
            match hand_over(switch, stream) {
                Ok(stays) => switch = stays,
                Err(code) => return Served::Gone(code),
            }
        }
    }
}

/// Hands over to the process that asked to take over; the exit code if this process then ends.
fn hand_over(switch: Switch, stream: UnixStream) -> Result<Switch, ExitCode> {
    let successor = match Successor::greet(stream) {
        Ok(successor) => successor,
        Err(error) => {
            eprintln!("ringworld: a process that asked to take over was refused: {error}");
            return Ok(switch);
        }
    };
    match switch.hand_over(&successor) {
        Ok(HandOver::Gone(heir, _)) => {
            print(&format!("handed over to process {}, build {}\n", heir.process, successor.build));
            if heir.left_behind > 0 {
                eprintln!("ringworld: {} connection(s) of TCP held too much to be handed over", heir.left_behind);
            }
            Err(ExitCode::SUCCESS)
        }
        Ok(HandOver::Stays(stays, why)) => {
            eprintln!("ringworld: build {} did not take over: {why}", successor.build);
            Ok(*stays)
        }
        Err(error) => Err(fail(FAILED, error)),
    }
}

/// Refuses new calls, ends the others, and stops when they are gone, when time is up, or at a second signal.
fn drain(switch: Switch, signals: &mut Signals) -> Summary {
    switch.begin_drain();
    let deadline = Instant::now() + DRAIN_PATIENCE;
    while !switch.is_drained() && Instant::now() < deadline && signals.wait_for(DRAIN_LOOK) != Some(Wish::End) {}
    switch.stop()
}

fn write_summary(path: &Path, summary: &Summary) -> ExitCode {
    let written = serde_json::to_vec_pretty(summary).map_err(std::io::Error::other);
    match written.and_then(|json| write_whole(path, &json)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(FAILED, format_args!("the summary can't be written to {}: {error}", path.display())),
    }
}

fn greeting(config: &Config, switch: &Switch) -> String {
    let mut text = String::new();
    for (transport, address) in switch.sip_addresses() {
        text.push_str(&format!("SIP over {transport} on {address}\n"));
    }
    text.push_str(&format!("RTP on ports {}\n", config.network.rtp_ports));
    if !config.record.file.as_os_str().is_empty() {
        text.push_str(&format!("recording to {}\n", config.record.file.display()));
    }
    if !config.state.folder.as_os_str().is_empty() {
        let (calls, _) = switch.taken_up();
        text.push_str(&format!("calls survive in {}; {calls} go on\n", config.state.folder.display()));
    }
    for (name, what) in SERVICES {
        text.push_str(&format!("{name:<12} {what}\n"));
    }
    text.push_str(&format!("anything else goes to {}\nready\n", config.services.default));
    text
}

/// The built-in services, for the greeting.
const SERVICES: &[(&str, &str)] = &[
    ("echo", "what you say comes back"),
    ("tone", "440 Hz; tone-HZ: another one"),
    ("silence", "packets of silence"),
    ("conf-NAME", "a conference room"),
    ("ring-N", "rings N seconds, then echo"),
    ("busy", "486; reject-NNN: another refusal"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::{App, IntoScheduleConfigs, Now, Phase, Res, Tick};
    use crate::replay::{Player, ReplayOptions};
    use ringworld_components::call::Service;

    #[test]
    fn arguments_go_before_the_file_and_the_rest_stays() {
        let args = RunArgs {
            sip: vec!["udp:127.0.0.1:5070".parse().unwrap()],
            rtp_ports: Some("12000-12100".parse().unwrap()),
            worlds: Some(2),
            record: Some("calls.rwlog".into()),
            ..RunArgs::default()
        };
        let config = args.configuration().unwrap();
        assert_eq!(config.network.sip, args.sip);
        assert_eq!((config.network.rtp_ports.first, config.network.worlds), (12_000, 2));
        assert_eq!(config.record.file, PathBuf::from("calls.rwlog"));
        assert_eq!(config.limits, Config::default().limits);
    }

    #[test]
    fn arguments_are_checked_like_the_file() {
        let none = RunArgs { worlds: Some(0), ..RunArgs::default() };
        assert!(none.configuration().unwrap_err().to_string().contains("network.worlds"));
    }

    #[test]
    fn the_greeting_names_services_that_exist() {
        for (name, _) in SERVICES {
            let example = name.replace("NAME", "lobby").replace('N', "3");
            assert!(Service::named(&example).is_some(), "{name}");
        }
    }

    fn break_after_a_while(now: Res<Now>) {
        assert!(now.0 < 60, "this behaviour is broken");
    }

    #[test]
    fn a_world_that_breaks_ends_the_process_and_leaves_its_flight_recording() {
        let folder = std::env::temp_dir().join(format!("ringworld-broken-{}", std::process::id()));
        let mut config = Config::default();
        config.network.sip = vec!["udp:127.0.0.1:0".parse().unwrap()];
        config.network.rtp_ports = "24000-24039".parse().unwrap();
        config.record.flight_dir.clone_from(&folder);
        let extend: crate::engine::Extend = std::sync::Arc::new(|plugins| {
            plugins.add(|app: &mut App| {
                app.add_systems(Tick, break_after_a_while.in_set(Phase::Behaviour));
            });
        });
        let switch = Switch::start_with(&config, extend.clone()).unwrap();
        let Served::Broken(switch, why) = serve(switch, &mut Signals::listen().unwrap()) else {
            panic!("it should have broken");
        };
        assert!(why.starts_with("panic: this behaviour is broken; the flight recording is in "), "{why}");
        let summary = switch.stop();
        assert_eq!(summary.alarms, std::slice::from_ref(&why));
        let path = PathBuf::from(why.rsplit(" in ").next().unwrap());
        let options = ReplayOptions { extend, ..ReplayOptions::default() };
        let mut player = Player::open_with(&path, options).unwrap();
        let broken = loop {
            match player.step() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the replay came to its end"),
                Err(error) => break error.to_string(),
            }
        };
        assert!(broken.ends_with(": this behaviour is broken"), "{broken}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
