use super::*;
use crate::sim::SECOND;

fn fault(kind: Kind, strength: u64) -> Fault {
    Fault { number: 1, kind, agent: Some(0), from: 0, to: SECOND, strength }
}

fn arrivals(faults: &[Fault], packets: u64) -> Vec<(u64, Arrival)> {
    let mut network = Network::new(1, 3, faults);
    let to = SocketAddr::new(SWITCH.ip(), 10_000);
    (0..packets).for_each(|n| network.rtp_to_switch(n * 20_000, 0, 20_000, to, vec![n as u8; 20]));
    std::iter::from_fn(|| network.next_arrival(u64::MAX)).collect()
}

#[test]
fn without_faults_all_arrive_in_order() {
    let arrived = arrivals(&[], 100);
    assert_eq!(arrived.len(), 100);
    for (n, (_, arrival)) in arrived.iter().enumerate() {
        assert!(matches!(arrival, Arrival::Rtp { bytes, .. } if bytes[0] == n as u8));
    }
}

#[test]
fn each_fault_does_what_it_is_named() {
    assert!(arrivals(&[fault(Kind::Loss, 1000)], 1_000).len() < 900);
    assert!(arrivals(&[fault(Kind::Duplicate, 1000)], 1_000).len() > 1_050);
    assert_eq!(arrivals(&[fault(Kind::Partition, 1000)], 10).len(), 0);
    assert_eq!(arrivals(&[fault(Kind::CutToAgent, 1000)], 10).len(), 10);
    let first = |arrival: &(u64, Arrival)| if let Arrival::Rtp { bytes, .. } = &arrival.1 { bytes[0] } else { 0 };
    let order: Vec<u8> = arrivals(&[fault(Kind::Reorder, 1000)], 100).iter().map(first).collect();
    assert!(!order.is_sorted() && order.len() == 100);
    let broken = |arrival: &(u64, Arrival)| matches!(&arrival.1, Arrival::Rtp { bytes, .. } if bytes.len() != 20 || bytes[0] != bytes[2] || bytes[1] != bytes[2]);
    assert!(arrivals(&[fault(Kind::Corrupt, 1000)], 1_000).iter().any(broken));
}

#[test]
fn a_nat_shows_one_address_and_lets_through_what_it_bound() {
    let mut network = Network::new(1, 3, &[]);
    network.sip_to_switch(0, 2, false, b"x".to_vec());
    let Some((_, Arrival::Sip { flow, .. })) = network.next_arrival(u64::MAX) else { panic!() };
    assert_ne!(flow.remote, inside(2, 5060));
    network.sip_to_agent(0, flow.back(), Bytes::from_static(b"y"), StableId(0));
    assert_eq!(network.next_delivery(u64::MAX).map(|(_, delivery)| delivery.port), Some(5060));
    network.rebind(2);
    network.sip_to_agent(0, flow.back(), Bytes::from_static(b"y"), StableId(0));
    assert!(network.next_delivery(u64::MAX).is_none_or(|(_, delivery)| delivery.port != 5060));
}

#[test]
fn a_reset_loses_what_was_on_its_way_and_tells_the_switch() {
    let mut network = Network::new(1, 3, &[]);
    network.sip_to_switch(0, 0, true, b"x".to_vec());
    network.reset(1, 0);
    let kinds: Vec<bool> = std::iter::from_fn(|| network.next_arrival(u64::MAX))
        .map(|(_, arrival)| matches!(arrival, Arrival::Closed(_)))
        .collect();
    assert_eq!(kinds, [true]);
}
