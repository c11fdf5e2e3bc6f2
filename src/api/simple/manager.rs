//! The manager of sessions: a switch, its calls and its handler.

use super::address::{Callee, caller};
use super::call::{CallSession, Parties, SessionId};
use super::calls::Calls;
use super::dispatch;
use super::handler::AnyHandler;
use super::{CallHandler, Error, SessionConfig, SessionManagerBuilder, Summary};
use crate::config::Config;
use crate::engine::{Extend, Switch};
use ringworld_components::call::Service;
use ringworld_components::edge::{Operation, PlaceCall, Transport};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// Events that may wait for the thread that reads them.
const EVENTS_MAX: usize = 16_384;

/// How long calls may take to end when the manager stops.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// How often the end of something is looked for while stopping.
const STOP_LOOK: Duration = Duration::from_millis(10);

/// A switch that answers and places calls; the application sees no SIP. Cheap to clone; all clones are the same one.
///
/// When the last clone is dropped the switch stops at once, without sending BYE; [`SessionManager::stop`] ends the
/// calls first.
#[derive(Clone)]
pub struct SessionManager {
    inner: Arc<Inner>,
}

/// What clones, calls and tasks share.
pub(super) struct Inner {
    config: SessionConfig,
    handler: Mutex<Arc<dyn AnyHandler>>,
    extend: Extend,
    switch: Mutex<Option<Arc<Switch>>>,
    pub calls: Calls,
    pub runtime: Handle,
    next_world: AtomicUsize,
    news_lost: AtomicU64,
}

impl SessionManager {
    /// Puts a manager together that has a handler or plugins from the start.
    pub fn builder() -> SessionManagerBuilder {
        SessionManagerBuilder::new()
    }

    /// A manager with this configuration. Nothing is opened yet. To be called inside a tokio runtime.
    pub async fn new(config: SessionConfig) -> Result<Self, Error> {
        Self::builder().config(config).build().await
    }

    pub(super) fn of(mut builder: SessionManagerBuilder) -> Result<Self, Error> {
        let extend = builder.extend();
        builder.config.clone().checked()?;
        let inner = Inner {
            config: builder.config,
            handler: Mutex::new(builder.handler),
            extend,
            switch: Mutex::new(None),
            calls: Calls::default(),
            runtime: Handle::try_current().map_err(|_| Error::NoRuntime)?,
            next_world: AtomicUsize::new(0),
            news_lost: AtomicU64::new(0),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The handler that decides about calls from now on. Until this is called it is that of the builder, or all calls
    /// are answered.
    pub async fn set_call_handler(&self, handler: Arc<impl CallHandler>) -> Result<(), Error> {
        *lock(&self.inner.handler) = handler;
        Ok(())
    }

    /// Starts to take calls at this address, over UDP and TCP.
    pub async fn start_server(&self, address: SocketAddr) -> Result<(), Error> {
        self.start_with(self.inner.config.clone().listening(address).checked()?).await
    }

    /// Starts at the addresses of the configuration.
    pub(super) async fn start(&self) -> Result<(), Error> {
        self.start_with(self.inner.config.clone().checked()?).await
    }

    async fn start_with(&self, config: Config) -> Result<(), Error> {
        let inner = self.inner.clone();
        blocking(move || {
            // Held while the switch starts, so that two starts can't both succeed.
            let mut place = lock(&inner.switch);
            if place.is_some() {
                return Err(Error::AlreadyRunning);
            }
            let switch = Switch::start_with(&config, inner.extend.clone())?;
            let events = switch.subscribe(EVENTS_MAX);
            let manager = Arc::downgrade(&inner);
            let reader = std::thread::Builder::new().name("call-events".to_owned());
            let started = reader.spawn(move || dispatch::read_events(&manager, &events));
            if let Err(error) = started {
                switch.stop();
                return Err(Error::Start(crate::engine::StartError::System(error)));
            }
            *place = Some(Arc::new(switch));
            Ok(())
        })
        .await
    }

    /// Where calls can be sent over UDP, with the ports that the system chose. Empty unless it is running.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.inner.addresses(Transport::Udp)
    }

    /// Where calls can be sent over TCP. The ports differ from those of UDP if the system was left to choose.
    pub fn tcp_addresses(&self) -> Vec<SocketAddr> {
        self.inner.addresses(Transport::Tcp)
    }

    /// Calls `to` (`NAME@HOST`, `sip:NAME@HOST:PORT;transport=tcp` ...) and connects the call to the configured service
    /// once it is answered. `from` is a URI or a bare name. With `sdp` that session description is offered, and its
    /// media are not ours to handle. Returns when the INVITE is sent: [`CallSession::wait_for`] reports the rest.
    ///
    /// If the switch is not running yet it starts at the configured address.
    pub async fn make_call(&self, from: &str, to: &str, sdp: Option<String>) -> Result<CallSession, Error> {
        let callee = Callee::parse(to)?;
        if self.inner.switch().is_err() {
            match self.start().await {
                // Another task has started it first.
                Ok(()) | Err(Error::AlreadyRunning) => {}
                Err(error) => return Err(error),
            }
        }
        let switch = self.inner.switch()?;
        let (remote, local) = reach(&switch, &callee).await?;
        let service = self.inner.service_name().to_owned();
        let world = self.inner.world_for(&switch, &service);
        let parties = Parties { from: caller(from, local.ip())?, to: callee.uri, call_id: String::new() };
        let over_tcp = callee.transport == Transport::Tcp;
        let call =
            PlaceCall { from: parties.from.clone(), to: parties.to.clone(), remote, over_tcp, local, service, sdp };
        let inner = self.inner.clone();
        blocking(move || {
            let id = switch.command(world, Operation::Place(call))?;
            let (record, fresh) = inner.calls.claim(id, parties);
            if let Some(fresh) = fresh {
                dispatch::follow(&inner, fresh);
            }
            Ok(CallSession { record, manager: Arc::downgrade(&inner) })
        })
        .await
    }

    /// All calls that are not over, the oldest first.
    pub fn active_calls(&self) -> Vec<CallSession> {
        let manager = Arc::downgrade(&self.inner);
        let session = |record| CallSession { record, manager: manager.clone() };
        self.inner.calls.all().into_iter().map(session).collect()
    }

    /// The call of that name, unless it is over.
    pub fn call(&self, id: SessionId) -> Option<CallSession> {
        self.active_calls().into_iter().find(|call| call.id() == id)
    }

    /// Events of calls that were dropped because the handler was too slow for them.
    pub fn news_lost(&self) -> u64 {
        self.inner.news_lost.load(Ordering::Relaxed)
    }

    /// What each world holds and has counted, as of some milliseconds ago. Empty unless it is running.
    pub fn status(&self) -> Vec<Summary> {
        self.inner.switch().map(|switch| switch.status()).unwrap_or_default()
    }

    /// Refuses new calls, ends the others, but waits no longer than five seconds for them, and stops.
    pub async fn stop(&self) -> Result<Summary, Error> {
        let switch = self.inner.switch()?;
        let beginning = switch.clone();
        blocking(move || {
            beginning.begin_drain();
            Ok(())
        })
        .await?;
        let deadline = Instant::now() + STOP_PATIENCE;
        while !switch.is_drained() && Instant::now() < deadline {
            tokio::time::sleep(STOP_LOOK).await;
        }
        drop(switch);
        let mut last = lock(&self.inner.switch).take().ok_or(Error::NotRunning)?;
        // Commands that are under way hold it, for some milliseconds usually.
        let switch = loop {
            match Arc::try_unwrap(last) {
                Ok(switch) => break switch,
                Err(held) => last = held,
            }
            tokio::time::sleep(STOP_LOOK).await;
        };
        let summary = blocking(move || Ok(switch.stop())).await?;
        self.inner.calls.end_all();
        Ok(summary)
    }
}

impl Inner {
    pub fn service_name(&self) -> &str {
        self.config.service_name()
    }

    pub fn handler(&self) -> Arc<dyn AnyHandler> {
        lock(&self.handler).clone()
    }

    pub fn switch(&self) -> Result<Arc<Switch>, Error> {
        lock(&self.switch).clone().ok_or(Error::NotRunning)
    }

    fn addresses(&self, over: Transport) -> Vec<SocketAddr> {
        let Ok(switch) = self.switch() else { return Vec::new() };
        let listens = switch.sip_addresses().iter().filter(|(transport, _)| *transport == over);
        listens.map(|(_, address)| *address).collect()
    }

    pub fn count_lost(&self, news: u64) {
        self.news_lost.fetch_add(news, Ordering::Relaxed);
    }

    /// Asks a world to do something, on a thread that may wait for its answer.
    pub async fn command(&self, world: usize, operation: Operation) -> Result<SessionId, Error> {
        let switch = self.switch()?;
        blocking(move || Ok(switch.command(world, operation)?)).await
    }

    /// A room is in one world; anything else is spread over all.
    fn world_for(&self, switch: &Switch, service: &str) -> usize {
        match Service::named(service) {
            Some(Service::Conference(room)) => switch.world_of_room(&room),
            _ => self.next_world.fetch_add(1, Ordering::Relaxed) % switch.worlds().max(1),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let switch = lock(&self.switch).take();
        if let Some(switch) = switch.and_then(Arc::into_inner) {
            switch.stop();
        }
    }
}

/// The first address of the host that one of our sockets reaches, and our own address towards it.
async fn reach(switch: &Switch, callee: &Callee) -> Result<(SocketAddr, SocketAddr), Error> {
    let unreachable = |why: String| Error::Unreachable { host: callee.host.clone(), why };
    let found = tokio::net::lookup_host((callee.host.as_str(), callee.port)).await;
    let found: Vec<SocketAddr> = found.map_err(|error| unreachable(error.to_string()))?.collect();
    let reached = found.iter().find_map(|&remote| Some((remote, switch.local_towards(callee.transport, remote)?)));
    reached.ok_or_else(|| unreachable(format!("no route to {found:?} over {}", callee.transport)))
}

/// Runs what may wait for a thread of the switch.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(Error::NotRunning))
}

/// A panic of another holder of the lock does not make what it guards useless.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
