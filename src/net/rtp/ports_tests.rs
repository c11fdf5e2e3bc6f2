//! The table of port pairs, with sockets that are bound anywhere.

use super::*;
use std::net::UdpSocket;

fn ports(worlds: usize, share: usize) -> (Ports, Arc<NetCounters>) {
    let counters = Arc::new(NetCounters::default());
    (Ports::new([10, 12, 14, 16].into_iter(), 4, worlds, share, counters.clone()), counters)
}

fn open(_: u16) -> io::Result<Pair> {
    Ok(Pair::new(UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?, false))
}

fn fill(ports: &mut Ports) -> Vec<(usize, u16)> {
    let mut offered = Vec::new();
    ports.fill_up(0, open, |world, port| offered.push((world, port)));
    offered
}

#[test]
fn worlds_are_served_in_turn_and_a_returned_pair_comes_last() {
    let (mut ports, counters) = ports(2, 1);
    assert_eq!(fill(&mut ports), [(0, 10), (1, 12)]);
    ports.taken(0, 10);
    assert_eq!(fill(&mut ports), [(0, 14)]);
    ports.released(0, 10, 0);
    ports.taken(1, 12);
    assert_eq!(fill(&mut ports), [(1, 16)], "10 came back and waits behind 16");
    ports.taken(1, 16);
    assert_eq!(fill(&mut ports), [(1, 10)]);
    let gauges = counters.snapshot();
    assert_eq!((gauges.ports_open, gauges.ports_taken, gauges.ports_offered), (4, 2, 2));
}

#[test]
fn a_pair_that_a_call_has_already_is_opened_and_never_offered_before_it_returns() {
    let (mut ports, counters) = ports(2, 2);
    ports.take_up(1, 12, open).unwrap();
    assert!(ports.take_up(0, 12, open).is_err(), "it has a call");
    assert!(ports.take_up(0, 9_000, open).is_err() && ports.take_up(2, 10, open).is_err());
    ports.sort_out();
    assert_eq!(ports.pair(12).map(|(_, world)| world), Some(Some(1)));
    assert_eq!(fill(&mut ports), [(0, 10), (1, 14), (0, 16)]);
    ports.released(1, 12, 0);
    assert_eq!(fill(&mut ports), [(1, 12)]);
    assert_eq!((counters.snapshot().ports_taken, counters.snapshot().ports_offered), (0, 4));
}

#[test]
fn an_exhausted_range_offers_nothing_until_something_returns() {
    let (mut ports, _) = ports(1, 4);
    assert_eq!(fill(&mut ports).len(), 4);
    ports.taken(0, 12);
    assert!(fill(&mut ports).is_empty());
    ports.released(0, 12, 0);
    assert_eq!(fill(&mut ports), [(0, 12)]);
}

#[test]
fn what_comes_to_a_pair_in_stock_is_heard_and_nothing_is_sent_from_it() {
    let (mut ports, _) = ports(1, 1);
    assert_eq!(fill(&mut ports), [(0, 10)]);
    let world = |found: Option<(&Pair, Option<usize>)>| found.map(|(_, world)| world);
    assert_eq!((world(ports.heard(11)), world(ports.pair(11))), (Some(Some(0)), Some(None)));
    ports.taken(0, 10);
    assert_eq!((world(ports.heard(10)), world(ports.pair(10))), (Some(Some(0)), Some(Some(0))));
    ports.released(0, 10, 0);
    assert_eq!((world(ports.heard(10)), world(ports.pair(10))), (Some(None), Some(None)), "it waits its turn");
}

#[test]
fn a_busy_pair_is_skipped_and_tried_again_later() {
    let (mut ports, counters) = ports(1, 2);
    let mut offered = Vec::new();
    let busy = |port| if port == 10 { Err(io::ErrorKind::AddrInUse.into()) } else { open(port) };
    let refused = ports.fill_up(0, busy, |_, port| offered.push(port));
    assert_eq!(offered, [12, 14]);
    assert_eq!(refused.map(|error| error.kind()), Some(io::ErrorKind::AddrInUse));
    assert_eq!(counters.snapshot().ports_busy, 1);
    ports.taken(0, 12);
    ports.taken(0, 14);
    assert_eq!(fill(&mut ports), [(0, 16)], "one that was held is left alone for a while");
    ports.retry_busy();
    assert_eq!(fill(&mut ports), [(0, 10)]);
}

#[test]
fn when_all_are_busy_the_search_ends() {
    let (mut ports, counters) = ports(1, 2);
    let refused = ports.fill_up(0, |_| Err(io::ErrorKind::AddrInUse.into()), |_, _| {});
    assert!(refused.is_some());
    assert!(!ports.is_short(), "there is nothing left to try");
    assert_eq!(counters.snapshot().ports_busy, 4);
}

#[test]
fn nonsense_from_a_world_changes_nothing_and_is_counted() {
    let (mut ports, counters) = ports(2, 1);
    fill(&mut ports);
    ports.taken(1, 10);
    ports.taken(0, 11);
    ports.taken(0, 9_000);
    ports.released(0, 14, 0);
    ports.released(1, 10, 0);
    assert_eq!(counters.snapshot().ports_misreported, 5);
    assert_eq!(counters.snapshot().ports_offered, 2);
    assert_eq!(ports.pair(10).map(|(_, world)| world), Some(None));
    ports.taken(0, 10);
    assert_eq!(ports.pair(11).map(|(_, world)| world), Some(Some(0)), "RTCP belongs to the same call");
}

#[test]
fn calls_one_after_the_other_open_no_more_than_the_stock() {
    const SECOND: u64 = 1_000_000_000;
    let counters = Arc::new(NetCounters::default());
    let mut ports = Ports::new((10..2_010).step_by(2), 1_000, 1, 4, counters.clone());
    let mut stock = std::collections::VecDeque::new();
    for call in 0..3_000 {
        ports.fill_up(call * SECOND / 2, open, |_, port| stock.push_back(port));
        let port = stock.pop_front().unwrap();
        ports.taken(0, port);
        ports.released(0, port, call * SECOND / 2);
    }
    assert!(counters.snapshot().ports_open <= 8, "{}", counters.snapshot().ports_open);
    // Many at a time, and then none.
    ports.fill_up(1_500 * SECOND, open, |_, port| stock.push_back(port));
    let many: Vec<u16> = (0..200)
        .map(|_| {
            let port = stock.pop_front().unwrap();
            ports.taken(0, port);
            ports.fill_up(1_500 * SECOND, open, |_, port| stock.push_back(port));
            port
        })
        .collect();
    many.iter().for_each(|port| ports.released(0, *port, 1_500 * SECOND));
    assert!(counters.snapshot().ports_open >= 200);
    (1..=20).for_each(|second| ports.close_surplus((1_500 + second) * SECOND));
    assert_eq!(counters.snapshot().ports_open, 4, "the stock");
    assert_eq!(ports.pair(many[0]).map(|(_, world)| world), None);
}

#[test]
fn no_more_pairs_are_open_than_there_are_descriptors_for() {
    let counters = Arc::new(NetCounters::default());
    let mut ports = Ports::new([10, 12, 14, 16].into_iter(), 2, 1, 3, counters.clone());
    assert_eq!(fill(&mut ports), [(0, 10), (0, 12)]);
    ports.taken(0, 10);
    assert!(fill(&mut ports).is_empty());
    ports.released(0, 10, 0);
    assert_eq!(fill(&mut ports), [(0, 10)], "it has not rested, and nothing else can be opened");
    assert_eq!(counters.snapshot().ports_open, 2);
    // The system may have fewer than was reckoned.
    let mut ports = Ports::new([10, 12, 14, 16].into_iter(), 4, 1, 3, counters);
    ports.fill_up(0, open, |_, _| {});
    ports.taken(0, 10);
    ports.released(0, 10, 0);
    let mut offered = Vec::new();
    let refused = ports.fill_up(0, |_| Err(io::Error::from_raw_os_error(EMFILE)), |_, port| offered.push(port));
    assert_eq!((offered, refused.and_then(|error| error.raw_os_error())), (vec![10], Some(EMFILE)));
    ports.taken(0, 12);
    assert_eq!(fill(&mut ports), [(0, 16)], "it can be opened now");
}
