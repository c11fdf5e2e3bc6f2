//! A server with a plugin of its own in its world: a call ends when the hash key is pressed. A client shows that it works.
//!
//! `cargo run --example plugin_server`

use ringworld::api::simple::{CallState, EndCause, SessionConfig, SessionManager};
use ringworld::prelude::{
    App, DigitHeard, IntoScheduleConfigs, MessageReader, Operation, Operations, Phase, Plugin, Tick,
};
use std::error::Error;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Clone)]
struct HashHangsUp;

impl Plugin for HashHangsUp {
    fn build(&self, app: &mut App) {
        app.add_systems(Tick, hang_up_on_hash.in_set(Phase::Behaviour));
    }
}

fn hang_up_on_hash(mut digits: MessageReader<DigitHeard>, mut operations: Operations) {
    operations.for_each_call(digits.read().filter(|heard| heard.digit == '#'), |operations, heard| {
        operations.write(Operation::hang_up(heard.session));
    });
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let config = SessionConfig::server("127.0.0.1:0")?.rtp_ports(20_600, 20_699)?;
    let server = SessionManager::builder().config(config).plugin(HashHangsUp).start().await?;
    let address = *server.addresses().first().ok_or("no address")?;
    // Two echoes would return the digit to each other without end.
    let client = SessionManager::new(SessionConfig::client().service("silence").rtp_ports(20_700, 20_799)?).await?;

    let call = client.make_call("alice", &format!("bob@{address}"), None).await?;
    call.wait_for(CallState::Connected, PATIENCE).await?;
    call.send_dtmf("#").await?;
    let ending = call.wait_until_ended(PATIENCE).await?;
    println!("ended: {ending}");

    client.stop().await?;
    server.stop().await?;
    if ending.cause == EndCause::PeerHungUp { Ok(()) } else { Err("the hash key did not end the call".into()) }
}
