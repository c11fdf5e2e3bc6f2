//! Accounts of resources: what calls are charged, a limit for each user, and a measured load that closes the gate.
//!
//! `cargo run --example resources`

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
    config.limits.sessions_per_user = 2;
    config.resources.load_permille_max = 900;
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
    let (switch, peer) = (start("21800-21899")?, start("21900-21999")?);
    let (_, far) = *peer.sip_addresses().first().ok_or("no address")?;
    let events = switch.subscribe(256);
    // Two calls to one user are allowed.
    let calls = [place(&switch, far)?, place(&switch, far)?];
    match place(&switch, far) {
        Ok(_) => return Err("a third call was admitted".into()),
        Err(refusal) => println!("refused: {refusal}"),
    }
    switch.command_session(calls[0], Operation::HangUp { session: calls[0] })?;
    while !matches!(events.recv_timeout(PATIENCE)?, Event::Ended { .. }) {}
    // Entities are despawned in the tick after.
    std::thread::sleep(Duration::from_millis(50));
    switch.command(0, Operation::ReportLoad { cpu_permille: 950 })?;
    match place(&switch, far) {
        Ok(_) => return Err("a call was admitted under load".into()),
        Err(refusal) => println!("refused: {refusal}"),
    }
    switch.command(0, Operation::ReportLoad { cpu_permille: 200 })?;
    place(&switch, far)?;
    let (summary, _) = (switch.drain(PATIENCE), peer.drain(PATIENCE));
    let hit = &summary.signalling.limits_hit;
    println!("limits hit: {hit:?}");
    if summary.end.sessions == 0 && summary.defects.is_empty() && hit.len() == 2 {
        Ok(())
    } else {
        Err("something was not given back".into())
    }
}
