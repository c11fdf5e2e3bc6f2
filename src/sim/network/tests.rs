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
    network.reset(1, 0, false);
    let kinds: Vec<bool> = std::iter::from_fn(|| network.next_arrival(u64::MAX))
        .map(|(_, arrival)| matches!(arrival, Arrival::Closed(_)))
        .collect();
    assert_eq!(kinds, [true]);
}

fn read_all(network: &mut Network) -> Vec<Vec<u8>> {
    let sip = |(_, arrival)| if let Arrival::Sip { bytes, .. } = arrival { Some(bytes.to_vec()) } else { None };
    std::iter::from_fn(|| network.next_arrival(u64::MAX / 2)).filter_map(sip).collect()
}

#[test]
fn messages_come_out_of_a_stream_as_they_were_sent_however_it_is_cut() {
    let mut network = Network::new(1, 3, &[]);
    let sent: Vec<Vec<u8>> =
        (0..200).map(|n| format!("INFO sip:{n} SIP/2.0\r\nContent-Length: 4\r\n\r\n\r\n\r\n").into_bytes()).collect();
    // As they come, tick by tick, and then all that is left at once.
    let mut read = Vec::new();
    for (n, message) in (0..).zip(&sent) {
        network.sip_to_switch(n * 10 * crate::sim::MS, 0, true, message.clone());
        while let Some((_, arrival)) = network.next_arrival(n * 10 * crate::sim::MS) {
            read.extend(if let Arrival::Sip { bytes, .. } = arrival { Some(bytes.to_vec()) } else { None });
        }
    }
    read.extend(read_all(&mut network));
    assert_eq!(read, sent);
    assert!(network.garbled.is_empty() && network.uncut().next().is_none());
    let mut pongs = 0;
    while let Some((_, delivery)) = network.to_agents.take_due(u64::MAX) {
        pongs += u32::from(delivery.conn != ConnId::NONE);
    }
    assert!(pongs > 5, "keep-alives are answered: {pongs}");
}

#[test]
fn a_reset_in_the_middle_of_a_message_leaves_nothing_of_it() {
    let mut network = Network::new(1, 3, &[]);
    network.reset(0, 0, true);
    let message = || b"INFO sip:a SIP/2.0\r\nContent-Length: 0\r\n\r\n".to_vec();
    network.sip_to_switch(1, 0, true, message());
    network.sip_to_switch(2, 0, true, message());
    assert_eq!(read_all(&mut network), [message()], "the second one, over another connection");
    assert_eq!((network.garbled.len(), network.streams.all().count()), (0, 1));
}
