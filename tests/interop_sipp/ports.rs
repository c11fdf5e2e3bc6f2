//! Ports that are in no other use: by no other test of this run, no other run of these tests, and no other process.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Where the locks are: an address of loopback that nothing else uses.
const LOCKS: Ipv4Addr = Ipv4Addr::new(127, 77, 0, 1);

/// A range to take blocks of. It must not be one that the system takes ports from by itself.
#[derive(Clone, Copy)]
pub struct Range {
    /// The first port.
    pub first: u16,
    /// How many ports a block has.
    pub block: u16,
    /// How many blocks there are.
    pub blocks: u16,
}

/// A block of ports, ours until this is dropped.
pub struct Block {
    /// The first of them.
    pub first: u16,
    /// While this is bound, no other run takes the block.
    _lock: TcpListener,
}

impl Block {
    /// Takes a block of the range. A port that was given back rests as long as possible.
    pub fn of(range: Range) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let blocks = usize::from(range.blocks);
        let from = NEXT.fetch_add(1, Ordering::Relaxed) + std::process::id() as usize * 7;
        let take = |at: usize| {
            let first = range.first + (at % blocks) as u16 * range.block;
            let lock = TcpListener::bind((LOCKS, first + range.block - 1)).ok()?;
            (first..first + range.block).all(is_free).then_some(Self { first, _lock: lock })
        };
        (from..from + blocks).find_map(take).expect("free ports")
    }
}

fn is_free(port: u16) -> bool {
    UdpSocket::bind(("::", port)).is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
