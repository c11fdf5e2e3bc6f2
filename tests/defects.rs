//! A defect in a running switch does not hide: whoever stops it is told, and a debug build stops there.

use ringworld::config::Config;
use ringworld::engine::{Extend, Switch};
use ringworld::prelude::*;
use std::sync::Arc;

/// What stopping such a switch says: in its summary, or, in a debug build, as a panic.
fn said_at_the_end(first_rtp_port: u16, extend: Extend) -> String {
    let mut config = Config::default();
    config.network.sip = vec!["udp:127.0.0.1:0".parse().expect("an address")];
    config.network.rtp_ports = format!("{first_rtp_port}-{}", first_rtp_port + 39).parse().expect("a range");
    let switch = Switch::start_with(&config, extend).expect("the switch starts");
    std::thread::sleep(Duration::from_millis(500));
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| switch.stop())) {
        Ok(summary) => summary.defects.join("; "),
        Err(panic) => panic.downcast_ref::<String>().expect("a message").clone(),
    }
}

#[test]
fn what_a_plugin_did_not_register_is_named() {
    #[derive(Resource, Default)]
    struct Stowaway;
    let said = said_at_the_end(
        23_700,
        Arc::new(|app| {
            app.init_resource::<Stowaway>();
        }),
    );
    assert!(said.contains("Stowaway"), "{said}");
}

#[test]
fn a_world_that_panicked_is_told_of() {
    fn break_down() {
        panic!("a behaviour of a test breaks down, as it should");
    }
    let said = said_at_the_end(
        23_740,
        Arc::new(|app| {
            app.add_systems(Tick, break_down.in_set(Phase::Behaviour));
        }),
    );
    assert!(said.contains("a world panicked: a behaviour of a test breaks down"), "{said}");
}
