//! An A-leg and a B-leg in sequence: the rule is part of the sequence, and the ending of one leg ends the other.
//!
//! `cargo run --example sequence`

use ringworld::components::call::{EndCause, EndingRule, SessionState};
use ringworld::components::edge::{Event, Operation, PlaceCall, Transport};
use ringworld::config::Config;
use ringworld::engine::Switch;
use ringworld::prelude::StableId;
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);

fn start(rtp_ports: &str) -> Result<Switch, Box<dyn Error>> {
    let mut config = Config::default();
    config.network.sip = vec!["udp:127.0.0.1:0".parse()?];
    config.network.rtp_ports = rtp_ports.parse()?;
    Ok(Switch::start(&config)?)
}

/// Places a call to the echo of the other switch.
fn place(switch: &Switch, far: SocketAddr) -> Result<StableId, Box<dyn Error>> {
    let local = switch.local_towards(Transport::Udp, far).ok_or("the peer can't be reached")?;
    let call = PlaceCall {
        from: format!("sip:switch@{local}"),
        to: format!("sip:echo@{far}"),
        remote: far,
        over_tcp: false,
        local,
        service: "silence".into(),
        sdp: None,
    };
    Ok(switch.command(0, Operation::Place(call))?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let (switch, peer) = (start("21200-21299")?, start("21300-21399")?);
    let (_, far) = *peer.sip_addresses().first().ok_or("no address")?;
    let events = switch.subscribe(256);
    let (a, b) = (place(&switch, far)?, place(&switch, far)?);
    let rule = EndingRule::Together;
    let sequence = switch.command_session(a, Operation::Sequence { a, b, rule })?;
    println!("{a} and {b} are the legs of {sequence}");
    let mut connected = 0;
    while connected < 2 {
        if let Event::StateChanged { to: SessionState::Connected, .. } = events.recv_timeout(PATIENCE)? {
            connected += 1;
        }
    }

    switch.command_session(b, Operation::HangUp { session: b })?;
    let mut causes = Vec::new();
    while causes.len() < 2 {
        if let Event::Ended { session, cause, .. } = events.recv_timeout(PATIENCE)? {
            println!("{session} ended: {}", cause.as_str());
            causes.push((session, cause));
        }
    }
    causes.sort_unstable();
    let (summary, _) = (switch.drain(PATIENCE), peer.drain(PATIENCE));
    if causes == [(a, EndCause::OtherLegEnded), (b, EndCause::HungUp)]
        && summary.end.sessions == 0
        && summary.defects.is_empty()
    {
        Ok(())
    } else {
        Err("the legs did not end together, or something is left".into())
    }
}
