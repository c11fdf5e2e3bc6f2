//! The TCP thread.

use super::distrust::Distrust;
use super::hub::{Hub, HubEvent};
use super::outlet::TcpOrder;
use super::table::Table;
use crate::net::TcpLimits;
use crate::net::inlet::Inlet;
use crate::net::udp::UdpOutlet;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

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
    pub stop: Arc<Notify>,
}

/// Starts the thread. It ends after `stop` was notified, with all its connections.
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
        inlet: start.inlet,
        udp: start.udp,
        events,
    };
    let (orders, stop) = (start.orders, start.stop);
    std::thread::Builder::new()
        .name("ringworld-tcp".into())
        .spawn(move || runtime.block_on(serve(hub, listeners, hub_events, orders, stop)))
}

async fn serve(
    mut hub: Hub,
    listeners: Vec<tokio::net::TcpListener>,
    mut events: mpsc::UnboundedReceiver<HubEvent>,
    mut orders: mpsc::Receiver<TcpOrder>,
    stop: Arc<Notify>,
) {
    let (accepted, mut arrivals) = mpsc::channel(LISTENER_QUEUE);
    for listener in listeners {
        tokio::spawn(accept(listener, accepted.clone()));
    }
    loop {
        tokio::select! {
            () = stop.notified() => break,
            Some(order) = orders.recv() => hub.order(order),
            Some(event) = events.recv() => hub.event(event),
            Some(stream) = arrivals.recv() => hub.event(HubEvent::Accepted(stream)),
        }
    }
    while let Ok(order) = orders.try_recv() {
        hub.order(order);
    }
    for _ in 0..FLUSH_ROUNDS {
        if !hub.table.is_waiting() {
            break;
        }
        tokio::time::sleep(FLUSH_PAUSE).await;
    }
}

async fn accept(listener: tokio::net::TcpListener, accepted: mpsc::Sender<tokio::net::TcpStream>) {
    loop {
        match listener.accept().await {
            // The hub is gone: everything ends.
            Ok((stream, _)) => {
                if accepted.send(stream).await.is_err() {
                    return;
                }
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}
