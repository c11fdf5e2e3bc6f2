//! Parent and child sessions: when the parent ends, its dependent child is ended in the same tick, and the independent one
//! goes on. A cycle is refused, and the error prints it.
//!
//! `cargo run --example dependencies`

use ringworld::components::call::{DependencyKind, SessionState};
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
    let (switch, peer) = (start("21000-21099")?, start("21100-21199")?);
    let (_, far) = *peer.sip_addresses().first().ok_or("no address")?;
    let events = switch.subscribe(256);
    let mut sessions = Vec::new();
    for _ in 0..3 {
        sessions.push(place(&switch, far)?);
    }
    let [parent, dependent, independent] = sessions[..] else { return Err("three calls".into()) };
    let mut connected = 0;
    while connected < 3 {
        if let Event::StateChanged { to: SessionState::Connected, .. } = events.recv_timeout(PATIENCE)? {
            connected += 1;
        }
    }
    let link = |parent, child, kind| switch.command_session(parent, Operation::Link { parent, child, kind });
    link(parent, dependent, DependencyKind::Dependent)?;
    link(parent, independent, DependencyKind::Independent)?;
    match link(dependent, parent, DependencyKind::Dependent) {
        Ok(_) => return Err("a cycle was accepted".into()),
        Err(refusal) => println!("refused: {refusal}"),
    }

    switch.command_session(parent, Operation::HangUp { session: parent })?;
    let mut ended = Vec::new();
    while ended.len() < 2 {
        if let Event::Ended { session, cause, .. } = events.recv_timeout(PATIENCE)? {
            println!("{session} ended: {}", cause.as_str());
            ended.push(session);
        }
    }
    let goes_on = switch.command_session(independent, Operation::HangUp { session: independent }).is_ok();
    let (summary, _) = (switch.drain(PATIENCE), peer.drain(PATIENCE));
    ended.sort_unstable();
    if ended == [parent, dependent] && goes_on && summary.end.sessions == 0 {
        Ok(())
    } else {
        Err("the wrong calls ended".into())
    }
}
