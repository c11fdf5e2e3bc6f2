//! SIPp as the caller.

use super::BenchError;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// SIPp's account of a run.
pub(super) struct Account {
    pub completed: u64,
    pub failed: u64,
    pub retransmissions: u64,
    pub seconds: f64,
}

/// SIPp's socket buffers, in bytes. Its own default of 64 KiB holds 50 responses, fewer than a tick sends at full rate.
const BUFFER_BYTES: u32 = 2 << 20;

/// Places `calls` with SIPp's built-in scenario, from the core of the calling thread.
pub(super) fn call(target: SocketAddr, rate_per_s: u32, calls: u64) -> Result<Account, BenchError> {
    let statistics = std::env::temp_dir().join(format!("ringworld-sipp-{}.csv", std::process::id()));
    let began = Instant::now();
    let ran = Command::new("sipp")
        .args(["-sn", "uac", "-d", "0", "-nostdin", "-s", "echo", "-trace_stat", "-fd", "1", "-stf"])
        .arg(&statistics)
        .args(["-i", "127.0.0.1", "-r", &rate_per_s.to_string(), "-m", &calls.to_string(), "-l", "10000"])
        .args(["-buff_size", &BUFFER_BYTES.to_string()])
        .arg(target.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .status();
    let seconds = began.elapsed().as_secs_f64();
    let account = read(&statistics, seconds);
    // Without statistics there is nothing to remove.
    let _ = std::fs::remove_file(&statistics);
    // It exits with 1 when calls failed, which the statistics tell, too.
    ran.map_err(BenchError::while_doing("starting sipp (Debian: apt-get install sip-tester)"))?;
    account
}

fn read(statistics: &Path, seconds: f64) -> Result<Account, BenchError> {
    let text = std::fs::read_to_string(statistics).map_err(BenchError::while_doing("reading SIPp's statistics"))?;
    parse(&text, seconds).ok_or_else(|| BenchError::new("SIPp's statistics lack a column"))
}

/// A line of names, then a line for each period; columns that end in (C) count from the beginning.
fn parse(text: &str, seconds: f64) -> Option<Account> {
    let names: Vec<&str> = text.lines().next()?.split(';').collect();
    let last: Vec<&str> = text.lines().last()?.split(';').collect();
    let value = |name: &str| last.get(names.iter().position(|found| *found == name)?)?.trim().parse::<u64>().ok();
    Some(Account {
        completed: value("SuccessfulCall(C)")?,
        failed: value("FailedCall(C)")?,
        retransmissions: value("Retransmissions(C)")?,
        seconds,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts() {
        let text = "StartTime;SuccessfulCall(P);SuccessfulCall(C);FailedCall(C);Retransmissions(C);\n\
                    a;1;1;0;0;\nb;6;7;1;2;\n";
        let account = parse(text, 1.0).unwrap();
        assert_eq!((account.completed, account.failed, account.retransmissions), (7, 1, 2));
        assert!(parse("a;b\n1;2\n", 1.0).is_none());
        assert!(parse("", 1.0).is_none());
    }
}
