//! A client that places a call, sends digits, holds, resumes and hangs up; and a server that prints its events.
//!
//! `cargo run --example simple_client`

use ringworld::api::simple::{CallEnding, CallHandler, CallSession, CallState, SessionConfig, SessionManager};
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);

/// Prints and keeps a line for each event.
#[derive(Default)]
struct Diary(Mutex<Vec<String>>);

impl Diary {
    fn note(&self, line: String) {
        println!("  server: {line}");
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    fn has(&self, line: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|noted| noted == line)
    }
}

impl CallHandler for Diary {
    async fn on_call_state_changed(&self, _: &CallSession, from: CallState, to: CallState) {
        self.note(format!("{from} -> {to}"));
    }

    async fn on_dtmf(&self, _: &CallSession, digit: char) {
        self.note(format!("digit {digit}"));
    }

    async fn on_call_ended(&self, _: &CallSession, ending: CallEnding) {
        self.note(format!("ended: {ending}"));
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = SessionManager::new(SessionConfig::server("127.0.0.1:0")?.rtp_ports(20_200, 20_299)?).await?;
    let diary = Arc::new(Diary::default());
    server.set_call_handler(diary.clone()).await?;
    server.start_server("127.0.0.1:0".parse()?).await?;
    let address = *server.addresses().first().ok_or("no address")?;

    let client = SessionManager::new(SessionConfig::client().service("tone").rtp_ports(20_300, 20_399)?).await?;
    let call = client.make_call("alice", &format!("bob@{address}"), None).await?;
    call.wait_for(CallState::Connected, PATIENCE).await?;
    println!("connected; {} active", client.active_calls().len());
    call.send_dtmf("42#").await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    call.hold().await?;
    call.wait_for(CallState::OnHold, PATIENCE).await?;
    call.resume().await?;
    call.wait_for(CallState::Connected, PATIENCE).await?;
    call.terminate().await?;
    println!("ended: {}", call.wait_until_ended(PATIENCE).await?);

    client.stop().await?;
    server.stop().await?;
    for line in ["digit 4", "digit 2", "digit #", "Connected -> OnHold", "OnHold -> Connected"] {
        if !diary.has(line) {
            return Err(format!("the server never saw {line:?}").into());
        }
    }
    Ok(())
}
