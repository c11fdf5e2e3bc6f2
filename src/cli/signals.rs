//! Ctrl-C and SIGTERM, which end the process, and SIGUSR1, which asks for the flight recording.

use std::io;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits for signals on the calling thread.
pub(super) struct Signals {
    runtime: Runtime,
    interrupt: Signal,
    terminate: Signal,
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
    /// From now on the process survives SIGINT, SIGTERM and SIGUSR1.
    pub fn listen() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (interrupt, terminate, user) = {
            let _inside = runtime.enter();
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::user_defined1())?)
        };
        Ok(Self { runtime, interrupt, terminate, user })
    }

    /// Waits for one of them, at most for so long.
    pub fn wait_for(&mut self, time: Duration) -> Option<Wish> {
        let Self { runtime, interrupt, terminate, user } = self;
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => Some(Wish::End),
                _ = terminate.recv() => Some(Wish::End),
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
