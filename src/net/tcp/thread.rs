//! The TCP thread.

use super::distrust::Distrust;
use super::hub::{Hub, HubEvent};
use super::outlet::TcpOrder;
use super::table::{Outgoing, Table};
use crate::net::TcpLimits;
use crate::net::given::TcpConnection;
use crate::net::inlet::Inlet;
use crate::net::udp::UdpOutlet;
use crossbeam::channel::{Receiver, Sender};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

/// How long a listener that can't accept (no descriptors) is left alone.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often and how long the last messages are waited for when everything ends.
const FLUSH_ROUNDS: u32 = 40;
const FLUSH_PAUSE: Duration = Duration::from_millis(5);
/// Events that one turn of the hub takes at most.
const LISTENER_QUEUE: usize = 64;

/// What the thread is made of.
pub(in crate::net) struct TcpStart {
    pub listeners: Vec<TcpListener>,
    pub orders: mpsc::Receiver<TcpOrder>,
    pub limits: TcpLimits,
    pub inlet: Inlet,
    pub udp: UdpOutlet,
    pub conn_base: u64,
    /// The DSCP of what leaves.
    pub dscp: u8,
    /// What another hub has left.
    pub rest: TcpRest,
    /// The thread begins when something comes, and ends at once when nothing can come.
    pub gate: Receiver<()>,
    pub end: oneshot::Receiver<TcpEnd>,
    /// Where it puts what it keeps.
    pub kept: Sender<TcpRest>,
}

/// How the thread ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::net) enum TcpEnd {
    /// What can be written in time is written, and everything is closed.
    Close,
    /// Everything stays open, for others.
    Keep,
}

/// What one TCP hub hands to the next.
#[derive(Debug, Default)]
pub(in crate::net) struct TcpRest {
    pub connections: Vec<TcpConnection>,
    /// What waits for connections that were still being opened.
    pub unsent: Vec<(SocketAddr, Outgoing)>,
}

/// Starts the thread. It ends when told to.
pub(in crate::net) fn spawn_tcp(start: TcpStart) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let listeners = {
        let _context = runtime.enter();
        start.listeners.into_iter().map(tokio::net::TcpListener::from_std).collect::<io::Result<Vec<_>>>()?
    };
    let (events, hub_events) = mpsc::unbounded_channel();
    let hub = Hub {
        table: Table::new(start.conn_base),
        distrust: Distrust::default(),
        limits: start.limits,
        dscp: start.dscp,
        inlet: start.inlet,
        udp: start.udp,
        events,
        freeze: watch::Sender::new(false),
    };
    let TcpStart { orders, rest, gate, end, kept, .. } = start;
    std::thread::Builder::new().name("ringworld-tcp".into()).spawn(move || {
        if gate.recv().is_ok() {
            // The receiver may be gone.
            let _ = kept.send(runtime.block_on(serve(hub, rest, listeners, hub_events, orders, end)));
        }
    })
}

async fn serve(
    mut hub: Hub,
    rest: TcpRest,
    listeners: Vec<tokio::net::TcpListener>,
    mut events: mpsc::UnboundedReceiver<HubEvent>,
    mut orders: mpsc::Receiver<TcpOrder>,
    mut end: oneshot::Receiver<TcpEnd>,
) -> TcpRest {
    hub.go_on(rest).await;
    let (accepted, mut arrivals) = mpsc::channel(LISTENER_QUEUE);
    let mut acceptors = JoinSet::new();
    for listener in listeners {
        acceptors.spawn(accept(listener, accepted.clone()));
    }
    let end = loop {
        tokio::select! {
            end = &mut end => break end.unwrap_or(TcpEnd::Close),
            Some(order) = orders.recv() => hub.order(order).await,
            Some(event) = events.recv() => hub.event(event),
            Some(stream) = arrivals.recv() => hub.event(HubEvent::Accepted(stream)),
        }
    };
    acceptors.abort_all();
    while let Ok(order) = orders.try_recv() {
        hub.order(order).await;
    }
    if end == TcpEnd::Keep {
        while let Ok(stream) = arrivals.try_recv() {
            hub.event(HubEvent::Accepted(stream));
        }
        while let Ok(event) = events.try_recv() {
            hub.event(event);
        }
        return hub.keep().await;
    }
    for _ in 0..FLUSH_ROUNDS {
        if !hub.table.is_waiting() {
            break;
        }
        tokio::time::sleep(FLUSH_PAUSE).await;
    }
    TcpRest::default()
}

/// Takes connections while there is a place for them; one that was taken is never lost on the way to the hub.
async fn accept(listener: tokio::net::TcpListener, accepted: mpsc::Sender<tokio::net::TcpStream>) {
    // This fails only when the hub has ended; then the task ends, too.
    while let Ok(place) = accepted.reserve().await {
        match listener.accept().await {
            Ok((stream, _)) => place.send(stream),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}
