//! Ctrl-C, SIGTERM and SIGHUP, which end the process, and SIGUSR1, which asks for the flight recording.

use std::io;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits for signals on the calling thread.
pub(super) struct Signals {
    runtime: Runtime,
    interrupt: Signal,
    terminate: Signal,
    /// The terminal is gone; `None` where the process was started to ignore that, as `nohup` does.
    hang_up: Option<Signal>,
    user: Signal,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// To end.
    End,
    /// To write the flight recording.
    WriteFlight,
}

impl Signals {
    /// From now on the process survives SIGINT, SIGTERM, SIGHUP and SIGUSR1.
    pub fn listen() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let inside = runtime.enter();
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let hang_up = (!is_ignored(SignalKind::hangup())).then(|| signal(SignalKind::hangup())).transpose()?;
        let user = signal(SignalKind::user_defined1())?;
        drop(inside);
        Ok(Self { runtime, interrupt, terminate, hang_up, user })
    }

    /// Waits for one of them, at most for so long.
    pub fn wait_for(&mut self, time: Duration) -> Option<Wish> {
        let Self { runtime, interrupt, terminate, hang_up, user } = self;
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => Some(Wish::End),
                _ = terminate.recv() => Some(Wish::End),
                () = received(hang_up) => Some(Wish::End),
                _ = user.recv() => Some(Wish::WriteFlight),
                () = tokio::time::sleep(time) => None,
            }
        })
    }

    /// Waits for one that ends the process.
    pub fn wait_for_end(&mut self) {
        while self.wait_for(Duration::MAX) != Some(Wish::End) {}
    }
}

/// Waits for a signal that may be ignored.
async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Whether this process ignores a signal, by the mask in `/proc`.
fn is_ignored(signal: SignalKind) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    let bit = u32::try_from(signal.as_raw_value()).ok().and_then(|number| number.checked_sub(1)).unwrap_or(u32::MAX);
    mask.checked_shr(bit).is_some_and(|rest| rest & 1 == 1)
}
