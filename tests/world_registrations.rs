//! REGISTER: answered from memory, without credentials, to peers on loopback and private networks.

mod common;

use common::{Bench, Caller, header, status};
use ringworld::engine::WorldConfig;

/// A REGISTER with this Contact line and these others, from this address.
fn register(bench: &mut Bench, caller: &mut Caller, lines: &str, from: &str) -> String {
    caller.next();
    let plain = caller.request("REGISTER", "");
    let contact = plain.lines().find(|line| line.starts_with("Contact:")).expect("a Contact").to_owned() + "\r\n";
    let request = plain.replace(&contact, lines);
    let before = bench.sent.len();
    bench.deliver_from(&request, from);
    bench.tick();
    bench.sent[before..].iter().map(|(_, text)| text.clone()).next().expect("an answer")
}

fn contacts(answer: &str) -> Vec<String> {
    answer.lines().filter(|line| line.starts_with("Contact:")).map(str::to_owned).collect()
}

#[test]
fn a_binding_is_made_refreshed_asked_for_removed_and_expires() {
    let mut bench = Bench::new();
    let mut phone = Caller::new(1, "anna");
    let near = common::PEER;
    let one = "Contact: <sip:anna@10.0.0.2:5070>\r\nExpires: 60\r\n";
    let answer = register(&mut bench, &mut phone, one, near);
    assert_eq!(status(&answer), 200, "no credentials are asked for: {answer}");
    assert_eq!(contacts(&answer), ["Contact: <sip:anna@10.0.0.2:5070>;expires=60"]);
    let two = "Contact: \"Anna, too\" <sip:anna@10.0.0.3> ; q=0.5 ; expires=100\r\nExpires: 60\r\n";
    assert_eq!(contacts(&register(&mut bench, &mut phone, two, near)).len(), 2);
    // A query changes nothing; time passes.
    bench.run_ms(30_000);
    let asked = contacts(&register(&mut bench, &mut phone, "", near));
    assert!(asked[0].ends_with("expires=30") || asked[0].ends_with("expires=29"), "{asked:?}");
    assert!(asked[1].contains("<sip:anna@10.0.0.3>;expires=70") || asked[1].contains("expires=69"), "{asked:?}");
    register(&mut bench, &mut phone, one, near);
    bench.run_ms(40_000);
    assert_eq!(contacts(&register(&mut bench, &mut phone, "", near)).len(), 2, "the first was refreshed");
    bench.run_ms(35_000);
    assert!(contacts(&register(&mut bench, &mut phone, "", near)).is_empty(), "all have expired");
    // Removed one by one, and all at once.
    register(&mut bench, &mut phone, one, near);
    let gone = one.replace("Expires: 60", "Expires: 0");
    assert!(contacts(&register(&mut bench, &mut phone, &gone, near)).is_empty());
    register(&mut bench, &mut phone, one, near);
    register(&mut bench, &mut phone, two, near);
    assert_eq!(status(&register(&mut bench, &mut phone, "Contact: *\r\n", near)), 400, "a star needs Expires: 0");
    let answer = register(&mut bench, &mut phone, "Contact: *\r\nExpires: 0\r\n", near);
    assert_eq!((status(&answer), contacts(&answer).len()), (200, 0));
    bench.run_ms(33_000);
    bench.assert_baseline();
}

#[test]
fn several_contacts_are_bound_together_or_not_at_all() {
    let mut config = WorldConfig::default();
    config.settings.limits.registrations = 3;
    let mut bench = Bench::with(config);
    let mut phone = Caller::new(1, "anna");
    let two = "Contact: <sip:a@10.0.0.2>;expires=10, <sip:b@10.0.0.2>\r\nExpires: 60\r\n";
    let bound = contacts(&register(&mut bench, &mut phone, two, common::PEER));
    assert_eq!(bound, ["Contact: <sip:a@10.0.0.2>;expires=10", "Contact: <sip:b@10.0.0.2>;expires=60"]);
    let more = "Contact: <sip:c@10.0.0.2>\r\nContact: <sip:d@10.0.0.2>\r\n";
    assert_eq!(status(&register(&mut bench, &mut phone, more, common::PEER)), 503);
    let bad = "Contact: <sip:c@10.0.0.2>, <sip:d\r\n";
    assert_eq!(status(&register(&mut bench, &mut phone, bad, common::PEER)), 400);
    let uris =
        |lines: Vec<String>| lines.iter().map(|line| line.split(';').next().unwrap().into()).collect::<Vec<String>>();
    let asked = contacts(&register(&mut bench, &mut phone, "", common::PEER));
    assert_eq!(uris(asked), uris(bound), "neither changed anything");
    let swap = "Contact: <sip:a@10.0.0.2>;expires=0, <sip:c@10.0.0.2>;expires=30\r\n";
    assert_eq!(contacts(&register(&mut bench, &mut phone, swap, common::PEER)).len(), 2);
}

#[test]
fn a_star_stands_alone_and_not_beside_an_address() {
    let mut bench = Bench::new();
    let mut phone = Caller::new(1, "anna");
    let bound = "Contact: <sip:anna@10.0.0.2:5070>\r\nExpires: 60\r\n";
    assert_eq!(contacts(&register(&mut bench, &mut phone, bound, common::PEER)).len(), 1);
    for lines in [
        "Contact: *\r\nContact: <sip:anna@10.0.0.3>\r\nExpires: 0\r\n",
        "Contact: <sip:anna@10.0.0.3>\r\nContact: *\r\nExpires: 0\r\n",
        "Contact: *, <sip:anna@10.0.0.3>\r\nExpires: 0\r\n",
        "Contact: <sip:anna@10.0.0.3>, *\r\nExpires: 0\r\n",
        "Contact: *\r\nContact: *\r\nExpires: 0\r\n",
        "Contact: *;expires=0\r\nExpires: 0\r\n",
    ] {
        let refused = register(&mut bench, &mut phone, lines, common::PEER);
        assert_eq!(status(&refused), 400, "{lines}");
        assert!(header(&refused, "Warning").is_some() || refused.contains("400 Bad Contact"), "{refused}");
        assert_eq!(contacts(&register(&mut bench, &mut phone, "", common::PEER)).len(), 1, "{lines}");
    }
    let mut old = Caller { cseq: 0, branch: 900, ..phone.clone() };
    let all = "Contact: *\r\nExpires: 0\r\n";
    assert_eq!(status(&register(&mut bench, &mut old, all, common::PEER)), 500, "section 10.3, step 6");
    assert_eq!(contacts(&register(&mut bench, &mut phone, all, common::PEER)).len(), 0);
}

#[test]
fn bindings_are_compared_as_uris() {
    for (first, second, is_same) in [
        ("sip:anna@Phone.example.com", "SIP:anna@phone.EXAMPLE.com", true),
        ("sip:anna@10.0.0.2;a=1;transport=udp", "sip:anna@10.0.0.2;Transport=UDP;a=1", true),
        ("sip:%61nna@10.0.0.2", "sip:anna@10.0.0.2", true),
        ("sip:anna@10.0.0.2;x=1", "sip:anna@10.0.0.2", true),
        ("sip:anna@10.0.0.2", "sip:Anna@10.0.0.2", false),
        ("sip:anna@10.0.0.2", "sip:anna@10.0.0.2:5060", false),
        ("sip:anna@10.0.0.2", "sip:anna@10.0.0.2;transport=tcp", false),
    ] {
        let mut bench = Bench::new();
        let mut phone = Caller { cseq: 10, ..Caller::new(1, "anna") };
        let bind = |uri: &str, seconds: u32| format!("Contact: <{uri}>;expires={seconds}\r\n");
        register(&mut bench, &mut phone, &bind(first, 60), common::PEER);
        let bound = contacts(&register(&mut bench, &mut phone, &bind(second, 90), common::PEER));
        assert_eq!(bound.len(), if is_same { 1 } else { 2 }, "{first} {second}");
        assert!(bound.iter().any(|line| line.starts_with(&format!("Contact: <{second}>;expires=9"))), "{bound:?}");
        let mut old = Caller { cseq: 1, branch: 900, ..phone.clone() };
        let late = status(&register(&mut bench, &mut old, &bind(first, 60), common::PEER));
        assert_eq!(late, 500, "{first}: an update out of order");
        let left = contacts(&register(&mut bench, &mut phone, &bind(first, 0), common::PEER));
        assert_eq!(left.len(), if is_same { 0 } else { 1 }, "{first} {second}");
    }
}

#[test]
fn an_update_out_of_order_is_refused_and_long_bindings_are_cut() {
    let mut bench = Bench::new();
    let mut phone = Caller::new(1, "anna");
    let line = "Contact: <sip:anna@10.0.0.2:5070>\r\nExpires: 99999999\r\n";
    let answer = register(&mut bench, &mut phone, line, common::PEER);
    assert_eq!(contacts(&answer), ["Contact: <sip:anna@10.0.0.2:5070>;expires=3600"]);
    let mut old = Caller { cseq: phone.cseq - 2, branch: 900, ..phone.clone() };
    assert_eq!(status(&register(&mut bench, &mut old, line, common::PEER)), 500);
}

#[test]
fn only_peers_on_loopback_and_private_networks_are_served() {
    let mut bench = Bench::new();
    let line = "Contact: <sip:anna@10.0.0.2:5070>\r\nExpires: 60\r\n";
    let peers = [
        ("127.0.0.1:5070", 200),
        ("10.1.2.3:5070", 200),
        ("172.16.0.9:5070", 200),
        ("192.168.7.7:5070", 200),
        ("[::1]:5070", 200),
        ("[fd00::7]:5070", 200),
        ("[fe80::7]:5070", 200),
        ("172.32.0.1:5070", 403),
        ("192.0.2.1:5070", 403),
        ("8.8.8.8:5070", 403),
        ("[2001:db8::1]:5070", 403),
    ];
    for (index, (from, expected)) in peers.into_iter().enumerate() {
        let mut phone = Caller::new(index as u32 + 1, &format!("phone{index}"));
        assert_eq!(status(&register(&mut bench, &mut phone, line, from)), expected, "{from}");
    }
}

#[test]
fn bindings_have_a_limit_that_does_not_keep_known_ones_from_being_refreshed() {
    let mut config = WorldConfig::default();
    config.settings.limits.registrations = 2;
    let mut bench = Bench::with(config);
    let line = "Contact: <sip:anna@10.0.0.2:5070>\r\nExpires: 60\r\n";
    let mut phones: Vec<Caller> = (1..=3).map(|call| Caller::new(call, &format!("phone{call}"))).collect();
    for (phone, expected) in phones.iter_mut().zip([200, 200, 503]) {
        let answer = register(&mut bench, phone, line, common::PEER);
        assert_eq!((status(&answer), header(&answer, "Retry-After").is_some()), (expected, expected == 503));
    }
    assert_eq!(bench.engine.counters().limits_hit.get("registrations"), Some(&1));
    assert_eq!(status(&register(&mut bench, &mut phones[0], line, common::PEER)), 200);
    bench.run_ms(61_000);
    assert_eq!(status(&register(&mut bench, &mut phones[2], line, common::PEER)), 200, "the expired make room");
}
