//! Priorities: a rule of the settings makes calls to `112` emergencies, an operation gives a call another class, and the
//! packets of that call are marked by it on the wire (RFC 2474).
//!
//! `cargo run --example priority`

use ringworld::components::call::{PriorityLevel, QosClass, SessionState};
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
    config.services.default = "echo".to_owned();
    config.network.sip = vec!["udp:127.0.0.1:0".parse()?];
    config.network.rtp_ports = rtp_ports.parse()?;
    config.priority.rules = vec!["to 112 emergency expedited".parse()?];
    Ok(Switch::start(&config)?)
}

/// Places a call to 112. The other switch connects it to its echo, as `services.default` says for a user that is no service.
fn place(switch: &Switch, far: SocketAddr) -> Result<StableId, Box<dyn Error>> {
    let local = switch.local_towards(Transport::Udp, far).ok_or("the peer can't be reached")?;
    let call = PlaceCall {
        from: format!("sip:switch@{local}"),
        to: format!("sip:112@{far}"),
        remote: far,
        over_tcp: false,
        local,
        service: "silence".into(),
        sdp: None,
    };
    Ok(switch.command(0, Operation::Place(call))?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let (switch, peer) = (start("21600-21699")?, start("21700-21799")?);
    let (_, far) = *peer.sip_addresses().first().ok_or("no address")?;
    let events = switch.subscribe(256);
    let call = place(&switch, far)?;
    while !matches!(events.recv_timeout(PATIENCE)?, Event::StateChanged { to: SessionState::Connected, .. }) {}
    for (level, class) in [
        (PriorityLevel::Emergency, QosClass::ExpeditedForwarding),
        (PriorityLevel::Low, QosClass::Video),
        (PriorityLevel::Normal, QosClass::Voice),
    ] {
        switch.command_session(call, Operation::SetPriority { session: call, level, class })?;
        println!("{call} is {} and marked as {}", level.as_str(), class.as_str());
        std::thread::sleep(Duration::from_millis(100));
    }
    let refused: Vec<u64> = switch.status().iter().map(|world| world.network.marks_refused).collect();
    let (summary, _) = (switch.drain(PATIENCE), peer.drain(PATIENCE));
    if refused.iter().sum::<u64>() == 0 && summary.end.sessions == 0 && summary.defects.is_empty() {
        Ok(())
    } else {
        Err("a mark was refused".into())
    }
}
