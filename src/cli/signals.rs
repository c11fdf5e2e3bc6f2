//! Ctrl-C and SIGTERM.

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long a listener that can't accept is left alone.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Waits for signals on the calling thread.
pub(super) struct Signals {
    runtime: Runtime,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// From now on the process survives SIGINT and SIGTERM.
    pub fn listen() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (interrupt, terminate) = {
            let _inside = runtime.enter();
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
        };
        Ok(Self { runtime, interrupt, terminate })
    }

    /// Waits for one of the two.
    pub fn wait(&mut self) {
        let Self { runtime, interrupt, terminate } = self;
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
    }

    /// Waits for one of the two, or for a connection to this listener, which does not block. An error of the listener is
    /// waited out.
    pub fn wait_or_accept(&mut self, listener: &UnixListener) -> Option<UnixStream> {
        let Self { runtime, interrupt, terminate } = self;
        runtime.block_on(async {
            let accepted = async {
                let listener = listener.try_clone().and_then(tokio::net::UnixListener::from_std);
                loop {
                    if let Ok(listener) = &listener
                        && let Ok((stream, _)) = listener.accept().await
                        && let Ok(stream) = stream.into_std()
                    {
                        return stream;
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            };
            tokio::select! {
                _ = interrupt.recv() => None,
                _ = terminate.recv() => None,
                stream = accepted => Some(stream),
            }
        })
    }

    /// Waits for one of the two, at most for so long. Says whether one came.
    pub fn wait_for(&mut self, time: Duration) -> bool {
        let Self { runtime, interrupt, terminate } = self;
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => true,
                _ = terminate.recv() => true,
                () = tokio::time::sleep(time) => false,
            }
        })
    }
}
