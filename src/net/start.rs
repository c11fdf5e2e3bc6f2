//! Starting and stopping.

use super::address::local_towards;
use super::bound::Bound;
use super::clock::Epoch;
use super::config::NetConfig;
use super::counters::NetCounters;
use super::descriptors::raise_descriptors;
use super::edge::{WorldEdge, owner};
use super::error::{NetError, system};
use super::given::{RtpPair, SipSocket, Sockets};
use super::inlet::{Inlet, Router};
use super::rtp::{Ports, RtpEdge, RtpShared, RtpThread, link};
use super::tcp::{TcpEnd, TcpOutlet, TcpRest, TcpStart, spawn_tcp};
use super::udp::{UdpOutlet, UdpThread};
use super::wake::{Deadlines, Waker};
use crossbeam::channel;
use ringworld_components::edge::{Input, Transport};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// The running network threads. Dropping it stops them.
pub struct Net {
    config: NetConfig,
    sip_addresses: Vec<(Transport, SocketAddr)>,
    counters: Arc<NetCounters>,
    threads: Vec<JoinHandle<()>>,
    wakers: Vec<Waker>,
    stop: Arc<AtomicBool>,
    end_tcp: Option<oneshot::Sender<TcpEnd>>,
    /// Every thread waits here for the command to begin.
    gate: Option<channel::Sender<()>>,
    /// Copies of the SIP sockets, and where the other threads put theirs when they end.
    sip: Vec<SipSocket>,
    rtp: channel::Receiver<Vec<RtpPair>>,
    tcp: channel::Receiver<TcpRest>,
}

impl Net {
    /// Binds everything, then starts the threads. The worlds' time begins at `epoch`; `router` places what comes in.
    ///
    /// Returns an end for each world, in their order. An error leaves nothing open.
    pub fn start(config: NetConfig, epoch: Epoch, router: Router) -> Result<(Net, Vec<WorldEdge>), NetError> {
        let (mut net, edges) = Self::prepare(config, epoch, router, Sockets::default())?;
        net.open();
        Ok((net, edges))
    }

    /// Everything that can fail of [`Net::start`], with what is open already in the place of what would be opened.
    /// Until [`Net::open`] nothing is read, taken or written, so the owner of the same sockets can still go on with
    /// them.
    pub fn prepare(
        mut config: NetConfig,
        epoch: Epoch,
        router: Router,
        mut given: Sockets,
    ) -> Result<(Net, Vec<WorldEdge>), NetError> {
        config.check()?;
        let open_max = config.fit(raise_descriptors(config.descriptors())?)?;
        let bound = Bound::of(&config, &mut given)?;
        let counters = Arc::new(NetCounters::default());
        let deadlines = Arc::new(Deadlines::new(config.worlds, config.tick));
        let stop = Arc::new(AtomicBool::new(false));
        let (rings, worlds) = (&config.rings, config.worlds);

        let (to_worlds, from_net): (Vec<_>, Vec<_>) =
            (0..worlds).map(|_| channel::bounded::<Input>(rings.control_in)).unzip();
        let inlet = Inlet { limits: config.limits, router, worlds: to_worlds, counters: counters.clone() };
        let udp_waker = Waker::new().map_err(system("making an event descriptor"))?;
        let (to_udp, udp_orders) = channel::bounded(rings.control_out);
        let udp = UdpOutlet::new(to_udp, udp_waker.clone(), counters.clone());
        std::mem::take(&mut given.untaken).into_iter().for_each(|untaken| inlet.deliver_again(untaken));
        let (to_tcp, tcp_orders) = mpsc::channel(rings.control_out);
        let tcp = TcpOutlet { ring: to_tcp, inlet: inlet.clone() };

        let udp_thread =
            UdpThread::new(bound.udp, udp_orders, inlet.clone(), udp_waker.clone(), deadlines.clone(), stop.clone())
                .map_err(system("preparing the UDP sockets"))?;
        let (rtp_threads, rtp_edges, rtp_wakers) =
            rtp(&config, open_max, epoch, &counters, &deadlines, &stop, given.rtp)?;

        let edges = from_net.into_iter().zip(rtp_edges).enumerate().map(|(world, (control, rtp))| WorldEdge {
            world,
            control,
            commands: channel::bounded(rings.commands),
            rtp,
            udp: udp.clone(),
            tcp: tcp.clone(),
            deadlines: deadlines.clone(),
            counters: counters.clone(),
            turn: 0,
            released: Vec::new(),
            told_spare: 0,
            told_made: 0,
        });
        let edges = edges.collect();

        // From here on threads run; an error drops `net`, which stops them.
        let (give_back, returned) = channel::unbounded();
        let (kept, kept_tcp) = channel::bounded(1);
        let (end_tcp, end_of_tcp) = oneshot::channel();
        let (open, gate) = channel::unbounded();
        let mut net = Net {
            sip: bound.copies,
            rtp: returned,
            tcp: kept_tcp,
            sip_addresses: bound.addresses,
            counters,
            threads: Vec::new(),
            wakers: rtp_wakers,
            stop,
            end_tcp: Some(end_tcp),
            gate: Some(open),
            config,
        };
        net.wakers.push(udp_waker);
        net.spawn("ringworld-udp", &gate, || udp_thread.run())?;
        for thread in rtp_threads {
            let give_back = give_back.clone();
            net.spawn("ringworld-rtp", &gate, move || {
                // The receiver may be gone.
                let _ = give_back.send(thread.run());
            })?;
        }
        let tcp = TcpStart {
            listeners: bound.tcp,
            orders: tcp_orders,
            limits: net.config.tcp.clone(),
            inlet,
            udp,
            conn_base: net.config.conn_base,
            dscp: net.config.marks.signalling,
            rest: TcpRest { connections: given.tcp, unsent: given.unsent },
            gate,
            end: end_of_tcp,
            kept,
        };
        net.threads.push(spawn_tcp(tcp).map_err(system("starting the TCP thread"))?);
        Ok((net, edges))
    }

    fn spawn(
        &mut self,
        name: &str,
        gate: &channel::Receiver<()>,
        run: impl FnOnce() + Send + 'static,
    ) -> Result<(), NetError> {
        let gate = gate.clone();
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || {
            if gate.recv().is_ok() {
                run();
            }
        });
        self.threads.push(thread.map_err(system("starting a thread"))?);
        Ok(())
    }

    /// Lets the threads of [`Net::prepare`] begin.
    pub fn open(&mut self) {
        if let Some(gate) = self.gate.take() {
            for _ in &self.threads {
                // A thread that has ended has reported why.
                let _ = gate.send(());
            }
        }
    }

    /// The addresses for SIP, in the order of the settings: with the ports that the system chose.
    pub fn sip_addresses(&self) -> &[(Transport, SocketAddr)] {
        &self.sip_addresses
    }

    /// The settings that the threads run with.
    pub fn config(&self) -> &NetConfig {
        &self.config
    }

    /// What is counted.
    pub fn counters(&self) -> &Arc<NetCounters> {
        &self.counters
    }

    /// The SIP address of ours that a peer reaches over a transport; None if we have no SIP socket for such peers.
    ///
    /// Asks the routing table when SIP is bound to all addresses, so it is for the beginning of calls, not for packets.
    pub fn local_towards(&self, transport: Transport, remote: SocketAddr) -> Option<SocketAddr> {
        let ours = || self.sip_addresses.iter().filter(|(ours, _)| *ours == transport).map(|(_, address)| *address);
        let route = local_towards(remote).ok()?;
        let exact = ours().find(|address| address.ip() == route);
        let any = || ours().find(|address| address.ip().is_unspecified() && (address.is_ipv6() || remote.is_ipv4()));
        exact
            .or_else(any)
            .map(|address| SocketAddr::new(route, address.port()))
            .or_else(|| ours().find(|address| address.is_ipv4() == remote.is_ipv4() && !address.ip().is_unspecified()))
    }

    /// Sends what the worlds have handed over, closes all sockets and waits for the threads to end.
    pub fn stop(self) {
        drop(self);
    }
}

impl Net {
    /// Sends what the worlds have handed over, as far as it can be sent at once, and waits for the threads to end.
    /// Everything stays open. What the worlds have not taken is theirs to give ([`WorldEdge::leftovers`]).
    pub fn halt(mut self) -> Sockets {
        self.end(TcpEnd::Keep);
        let TcpRest { connections, unsent } = self.tcp.try_recv().unwrap_or_default();
        Sockets {
            sip: std::mem::take(&mut self.sip),
            rtp: self.rtp.try_iter().flatten().collect(),
            tcp: connections,
            unsent,
            untaken: Vec::new(),
        }
    }

    fn end(&mut self, tcp: TcpEnd) {
        // Those that did not begin never will.
        self.gate = None;
        self.stop.store(true, Ordering::Release);
        self.wakers.iter().for_each(Waker::wake);
        if let Some(end) = self.end_tcp.take() {
            // The thread may have ended already.
            let _ = end.send(tcp);
        }
        for thread in self.threads.drain(..) {
            // A thread that panicked has ended too, and has reported why.
            let _ = thread.join();
        }
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        self.end(TcpEnd::Close);
    }
}

type RtpParts = (Vec<RtpThread>, Vec<Vec<RtpEdge>>, Vec<Waker>);

/// Prepares the RTP threads with their first ports, of which each may open `open_max`, and each world's ends of their
/// rings.
fn rtp(
    config: &NetConfig,
    open_max: usize,
    epoch: Epoch,
    counters: &Arc<NetCounters>,
    deadlines: &Arc<Deadlines>,
    stop: &Arc<AtomicBool>,
    mut given: Vec<RtpPair>,
) -> Result<RtpParts, NetError> {
    let (worlds, count) = (config.worlds, config.rtp_threads);
    let share = config.port_stock.div_ceil(worlds * count);
    let mut edges: Vec<Vec<RtpEdge>> = (0..worlds).map(|_| Vec::new()).collect();
    let (mut threads, mut wakers, mut refused) = (Vec::new(), Vec::new(), None);
    for index in 0..count {
        let waker = Waker::new().map_err(system("making an event descriptor"))?;
        let mut links = Vec::with_capacity(worlds);
        for edge in &mut edges {
            let (near, far) = link(config.rings.rtp, config.pairs().len(), waker.clone(), counters.clone());
            links.push(near);
            edge.push(far);
        }
        let own = config.pairs().filter(|port| owner(*port, count) == index);
        let ports = Ports::new(own, open_max, worlds, share, counters.clone());
        let shared = RtpShared {
            waker: waker.clone(),
            deadlines: deadlines.clone(),
            stop: stop.clone(),
            counters: counters.clone(),
            epoch,
            rtp_bind: config.rtp_bind,
            marks: config.marks,
            pool: config.rings.pool,
        };
        let in_use = config.in_use.iter().filter(|(_, port)| owner(*port, count) == index).copied();
        let own_given = given.extract_if(.., |pair| owner(pair.port, count) == index).collect();
        let (thread, error) =
            RtpThread::new(shared, ports, links, in_use, own_given).map_err(system("preparing an RTP thread"))?;
        refused = refused.or(error);
        threads.push(thread);
        wakers.push(waker);
    }
    if counters.ports_open.load(Ordering::Relaxed) == 0 {
        let source: Option<io::Error> = refused;
        return Err(NetError::NoPorts { range: config.rtp_ports, address: config.rtp_bind, source });
    }
    Ok((threads, edges, wakers))
}
