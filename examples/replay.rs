//! Records calls over real sockets, then plays the recording: the same world, tick by tick, faster than it happened.
//!
//! `cargo run --example replay`

use ringworld::config::Config;
use ringworld::engine::Switch;
use ringworld::load::{self, Plan, Service};
use ringworld::replay::Player;
use std::error::Error;
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let file = std::env::temp_dir().join(format!("ringworld-example-{}.rwlog", std::process::id()));
    let mut config = Config::default();
    config.network.sip = vec!["udp:127.0.0.1:0".parse()?];
    config.network.rtp_ports = "20800-20999".parse()?;
    config.record.file.clone_from(&file);
    let switch = Switch::start(&config)?;
    let (_, address) = *switch.sip_addresses().first().ok_or("no address")?;

    let mut plan = Plan::new(address).with(Service::echo(2)).with(Service::rooms("recorded", 1, 3));
    plan.hold = Duration::from_secs(2);
    load::run(&plan, |_| ())?;
    let summary = switch.drain(Duration::from_secs(5));
    println!("{} calls recorded", summary.signalling.calls_in);

    let replayed = play(&file);
    std::fs::remove_file(&file)?;
    println!("{} ticks played, every digest as recorded", replayed?);
    Ok(())
}

fn play(file: &std::path::Path) -> Result<u64, Box<dyn Error>> {
    let mut player = Player::open(file)?;
    let mut ticks = 0;
    // A tick whose digest differs is an error that names it.
    while player.step()?.is_some() {
        ticks += 1;
    }
    Ok(ticks)
}
