//! Groups: a session may be in several groups, and a group is removed with its last member.
//!
//! `cargo run --example groups`

use ringworld::components::call::{GroupChoice, GroupKind};
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
    let (switch, peer) = (start("21400-21499")?, start("21500-21599")?);
    let (_, far) = *peer.sip_addresses().first().ok_or("no address")?;
    let events = switch.subscribe(256);
    let (one, other) = (place(&switch, far)?, place(&switch, far)?);
    let enter = |session, group| switch.command_session(session, Operation::EnterGroup { session, group });
    let bridge = enter(one, GroupChoice::New(GroupKind::Bridge))?;
    enter(other, GroupChoice::Existing(bridge))?;
    let night_shift = enter(one, GroupChoice::New(GroupKind::Custom("night shift".into())))?;
    println!("{one} is in {bridge} and in {night_shift}, {other} in {bridge} alone");
    if let Err(refusal) = enter(other, GroupChoice::Existing(bridge)) {
        println!("refused: {refusal}");
    }

    switch.command_session(one, Operation::HangUp { session: one })?;
    while !matches!(events.recv_timeout(PATIENCE)?, Event::Ended { session, .. } if session == one) {}
    // Entities are despawned in the tick after.
    std::thread::sleep(Duration::from_millis(50));
    let is_gone = enter(other, GroupChoice::Existing(night_shift)).is_err();
    let leave = switch.command_session(other, Operation::LeaveGroup { session: other, group: bridge });
    let (summary, _) = (switch.drain(PATIENCE), peer.drain(PATIENCE));
    if is_gone && leave.is_ok() && summary.end.sessions == 0 && summary.defects.is_empty() {
        Ok(())
    } else {
        Err("a group was left".into())
    }
}
