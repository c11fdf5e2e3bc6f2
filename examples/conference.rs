//! A conference: a caller of `conf-NAME` is in the room of that name and hears all other callers there, but not itself.
//! There are two rooms of four callers each, and every caller checks the audio that it receives.
//!
//! `cargo run --example conference`

use ringworld::config::Config;
use ringworld::engine::Switch;
use ringworld::load::{self, Plan, Service};
use std::error::Error;
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let mut config = Config::default();
    config.network.sip = vec!["udp:127.0.0.1:0".parse()?];
    config.network.rtp_ports = "20600-20799".parse()?;
    let switch = Switch::start(&config)?;
    let (_, address) = *switch.sip_addresses().first().ok_or("no address")?;

    let mut plan = Plan::new(address).with(Service::rooms("example", 2, 4));
    plan.hold = Duration::from_secs(3);
    let report = load::run(&plan, |_| ())?;
    println!("{} of {} heard all the others and not themselves", report.rooms.exact, report.rooms.expected);
    report.heard_wrong.iter().for_each(|line| println!("{line}"));

    let summary = switch.drain(Duration::from_secs(5));
    println!("rooms at the peak: {}, at the end: {}", summary.peak.rooms, summary.end.rooms);
    if report.all_right() && summary.end.rooms == 0 { Ok(()) } else { Err("a participant heard something else".into()) }
}
