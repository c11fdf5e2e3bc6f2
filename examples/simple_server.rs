//! A server that answers calls with an echo: every caller hears its own audio. A simulated caller shows that it works.
//!
//! `cargo run --example simple_server`

use ringworld::api::simple::{AutoAnswerHandler, SessionConfig, SessionManager};
use ringworld::load::{self, Plan, Service};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Port 0: the system chooses one. A real server has "0.0.0.0:5060" here.
    let config = SessionConfig::server("127.0.0.1:0")?.rtp_ports(20_000, 20_199)?;
    let manager = SessionManager::new(config).await?;
    manager.set_call_handler(Arc::new(AutoAnswerHandler)).await?;
    manager.start_server("127.0.0.1:0".parse()?).await?;
    let address = *manager.addresses().first().ok_or("no address")?;
    println!("answering calls at {address}");

    let mut plan = Plan::new(address).with(Service::echo(3));
    plan.hold = Duration::from_secs(2);
    let report = tokio::task::spawn_blocking(move || load::run(&plan, |_| ())).await??;
    println!("{} of {} callers heard themselves", report.echo.exact, report.calls);

    let summary = manager.stop().await?;
    println!("{} calls came in, {} are left", summary.signalling.calls_in, summary.end.sessions);
    if report.all_right() { Ok(()) } else { Err("a caller did not hear itself".into()) }
}
