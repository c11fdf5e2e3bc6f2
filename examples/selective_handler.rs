//! A handler that decides: a friend is answered, a stranger is deferred and answered later, other callers are refused.
//!
//! `cargo run --example selective_handler`

use ringworld::api::simple::{
    CallAction, CallHandler, CallSession, CallState, IncomingCall, RejectReason, SessionConfig, SessionManager,
};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);

struct Doorkeeper;

impl CallHandler for Doorkeeper {
    async fn on_incoming_call(&self, call: &IncomingCall) -> CallAction {
        println!("{} calls {}", call.from(), call.dialled());
        if call.from().contains("friend") {
            CallAction::Connect("tone".to_owned())
        } else if call.from().contains("stranger") {
            tokio::spawn(look_at(call.clone()));
            CallAction::Defer
        } else {
            RejectReason::Declined.into()
        }
    }
}

/// Sends 180 (Ringing), waits for a while, and answers.
async fn look_at(call: IncomingCall) {
    let answered = async {
        call.ring().await?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        call.answer().await
    };
    if let Err(error) = answered.await {
        println!("the stranger was not let in: {error}");
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let config = SessionConfig::server("127.0.0.1:0")?.rtp_ports(20_400, 20_499)?;
    let server = SessionManager::builder().config(config).handler(Arc::new(Doorkeeper)).start().await?;
    let house = format!("house@{}", server.addresses().first().ok_or("no address")?);
    let client = SessionManager::new(SessionConfig::client().rtp_ports(20_500, 20_599)?).await?;

    for caller in ["friend", "stranger"] {
        let call: CallSession = client.make_call(caller, &house, None).await?;
        call.wait_for(CallState::Connected, PATIENCE).await?;
        println!("{caller}: let in");
        call.terminate().await?;
        call.wait_until_ended(PATIENCE).await?;
    }
    let call = client.make_call("salesman", &house, None).await?;
    let ending = call.wait_until_ended(PATIENCE).await?;
    println!("salesman: {ending}");

    client.stop().await?;
    server.stop().await?;
    if ending.status == 603 { Ok(()) } else { Err("the salesman was not declined".into()) }
}
