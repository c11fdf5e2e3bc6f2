//! What calls are charged, to which accounts, and the one gate for calls that come in and calls that are placed.

mod common;

use common::{Bench, Caller, callee, established, header, status};
use ringworld::components::call::{Account, Accounts, Amounts, CallErrorCause, Settings};
use ringworld::components::edge::{Command, Input, Operation, Output, PlaceCall};
use ringworld::components::kernel::StableId;
use ringworld::components::wire::sip::Uri;
use ringworld::engine::{Engine, Sum, WorldConfig};
use ringworld::inspect::ResourceReport;

fn accounts(bench: &Bench) -> &Accounts {
    bench.engine.world().resource::<Accounts>()
}

fn hit(bench: &Bench, limit: &str) -> u64 {
    bench.engine.counters().limits_hit.get(limit).copied().unwrap_or(0)
}

/// What one call costs with a stream and without one.
fn costs(bench: &Bench) -> (Amounts, Amounts) {
    let settings = bench.engine.world().resource::<Settings>();
    let session = settings.resources.of_session();
    (session.plus(settings.of_new_stream()), session)
}

/// The answer to an INVITE.
fn invite(bench: &mut Bench, caller: &Caller) -> String {
    bench.exchange(&caller.invite()).remove(0)
}

/// Places a call; the reply.
fn place(bench: &mut Bench, to: &str) -> Result<StableId, CallErrorCause> {
    let call = PlaceCall {
        from: "sip:switch@10.0.0.1".into(),
        to: to.into(),
        remote: common::PEER.parse().expect("an address"),
        over_tcp: false,
        local: common::SWITCH.parse().expect("an address"),
        service: "echo".into(),
        sdp: None,
    };
    bench.pending.push(Input::Command(Command { number: 5, operation: Operation::Place(call) }));
    let before = bench.outputs.len();
    bench.tick();
    let reply = bench.outputs[before..].iter().find_map(|output| match output {
        Output::Reply(reply) if reply.number == 5 => Some(reply.result.clone()),
        _ => None,
    });
    reply.expect("a reply").map_err(|error| error.cause)
}

fn add_up(bench: &Bench) {
    for sum in Sum::ALL {
        assert_eq!(sum.check(&bench.engine), None);
    }
}

/// Everything was given back.
fn assert_given_back(mut bench: Bench) {
    bench.run_quiet_s(70);
    assert_eq!(accounts(&bench), &Accounts::default());
    bench.assert_baseline();
}

#[test]
fn a_call_is_charged_by_session_and_codec_and_everything_comes_back() {
    let mut bench = Bench::new();
    let (whole, session) = costs(&bench);
    assert_eq!(whole.bandwidth_kbit_s, 80, "G.711 in packets of 20 ms with 40 octets of headers");
    let mut caller = established(&mut bench, 1, "echo");
    assert_eq!(accounts(&bench).used(), whole);
    let ringing = Caller::new(2, "ring-30");
    bench.exchange(&ringing.invite());
    assert_eq!(accounts(&bench).used(), whole.plus(session), "a call that was not answered has no stream");
    add_up(&bench);
    let report = ResourceReport::of(bench.engine.world());
    assert_eq!((report.dialogs_early, report.dialogs_confirmed, report.users.len()), (1, 1, 2));
    assert_eq!(report.endpoints, [("10.0.0.2".parse().expect("an address"), 2)]);
    bench.exchange(&caller.bye());
    bench.tick();
    assert_eq!(accounts(&bench).used(), session);
    bench.exchange(&ringing.request("CANCEL", ""));
    bench.exchange(&ringing.ack_of_refusal());
    assert_given_back(bench);
}

#[test]
fn a_codec_that_no_budget_has_room_for_is_not_taken() {
    for (budget, calls) in [(0, ["97", "97"]), (352, ["97", "0"]), (271, ["0", "0"])] {
        let mut config = WorldConfig::default();
        config.settings.resources.bandwidth_kbit_s = budget;
        let mut bench = Bench::with(config);
        for (call, taken) in (1..).zip(calls) {
            let caller = Caller::new(call, "echo");
            let sdp = caller.sdp("sendrecv").replace("RTP/AVP 0 8 101", "RTP/AVP 97 0");
            let offer = caller.request("INVITE", &format!("{sdp}a=rtpmap:97 L16/16000\r\n"));
            let answer = bench.exchange(&offer).remove(0);
            assert!(answer.contains(&format!("RTP/AVP {taken}\r\n")), "{budget} kbit/s: {answer}");
        }
        let wide = calls.iter().filter(|taken| **taken == "97").count() as u64;
        assert_eq!(accounts(&bench).used().bandwidth_kbit_s, wide * 272 + (2 - wide) * 80);
        add_up(&bench);
    }
}

#[test]
fn every_way_a_call_can_fail_gives_back_what_it_was_charged() {
    let mut config = WorldConfig::default();
    config.settings.timers.ringing_s = 2;
    // The offer that can't be answered, the service that refuses, the ports that run out.
    let mut bench = Bench::of(Engine::new(&config), 1);
    let refused = Caller::new(1, "reject-486");
    assert_eq!(status(&invite(&mut bench, &refused)), 486);
    let mute = Caller::new(2, "echo");
    let video = mute.sdp("sendrecv").replace("RTP/AVP 0 8 101", "RTP/AVP 96");
    assert_eq!(status(&bench.exchange(&mute.request("INVITE", &video))[0]), 488);
    let mut only = established(&mut bench, 3, "echo");
    let late = Caller::new(4, "echo");
    assert_eq!(status(&invite(&mut bench, &late)), 503);
    assert!(place(&mut bench, "sip:callee@10.0.0.2:5070").is_err(), "there is no port");
    bench.exchange(&only.bye());
    // A call that the peer refuses, and one that it never answers.
    bench.run_quiet_s(1);
    let placed = callee::place(&mut bench);
    bench.exchange(&callee::answer_to(&placed, "486 Busy Here", "b", ""));
    bench.run_quiet_s(1);
    callee::place(&mut bench);
    bench.run_quiet_s(40);
    for caller in [refused, mute, late] {
        bench.deliver(&caller.ack_of_refusal());
    }
    add_up(&bench);
    assert_given_back(bench);
}

#[test]
fn a_user_and_an_endpoint_have_limits_of_their_own_in_both_directions() {
    let mut config = WorldConfig::default();
    (config.settings.limits.sessions_per_user, config.settings.limits.sessions_per_endpoint) = (1, 3);
    let mut bench = Bench::with(config);
    let mut first = established(&mut bench, 1, "echo");
    // The same From with another Call-ID.
    let again = Caller::new(2, "echo");
    let same_user = again.invite().replace("caller2@", "caller1@");
    assert_eq!(status(&bench.exchange(&same_user)[0]), 403);
    assert_eq!(hit(&bench, "sessions of a user"), 1);
    let mut second = established(&mut bench, 3, "echo");
    let (from, endpoint) = (accounts(&bench).of_user(b"caller1@10.0.0.2"), "10.0.0.2".parse().expect("an address"));
    assert_eq!((from, accounts(&bench).of_endpoint(endpoint)), (1, 2));
    assert_eq!(accounts(&bench).users().map(|(_, count)| count).sum::<u32>(), 2);
    assert!(place(&mut bench, "sip:callee@10.0.0.2:5070").is_ok());
    let user = place(&mut bench, "sip:callee@10.0.0.2:5070");
    assert_eq!(user, Err(CallErrorCause::Limit("sessions of a user".into())));
    let other = place(&mut bench, "sip:other@10.0.0.2:5070");
    assert_eq!(other, Err(CallErrorCause::Limit("sessions of an endpoint".into())));
    let third = Caller::new(4, "echo");
    let refused = invite(&mut bench, &third);
    assert_eq!((status(&refused), header(&refused, "Retry-After")), (503, Some("5")));
    assert_eq!(hit(&bench, "sessions of an endpoint"), 2);
    bench.exchange(&first.bye());
    bench.exchange(&second.bye());
    bench.tick();
    bench.tick();
    established(&mut bench, 5, "echo");
    bench.pending.push(Input::Command(Command { number: 6, operation: Operation::Drain }));
    bench.tick();
    bench.run_quiet_s(70);
    assert_given_back(bench);
}

#[test]
fn the_host_of_an_account_has_no_case_and_its_user_has() {
    let endpoint = "10.0.0.2".parse().expect("an address");
    let account = |uri: &str| Account::of(&Uri::parse(uri.to_owned().into()).expect("a URI"), endpoint);
    assert_eq!(account("sip:Bob@Example.COM;transport=tcp"), account("sip:Bob@example.com:5080"));
    assert_ne!(account("sip:Bob@example.com"), account("sip:bob@example.com"));
}

/// Sets a budget that one call uses up.
type SetBudget = fn(&mut WorldConfig);

#[test]
fn a_budget_that_is_used_up_refuses_calls_of_either_direction_and_streams() {
    let budgets: [(&str, SetBudget); 3] = [
        ("bandwidth", |config| config.settings.resources.bandwidth_kbit_s = 100),
        ("cpu", |config| config.settings.resources.cpu_ppm = 400),
        ("memory", |config| config.settings.resources.memory_kib = 20),
    ];
    for (name, set) in budgets {
        let mut config = WorldConfig::default();
        set(&mut config);
        let mut bench = Bench::with(config);
        let mut first = established(&mut bench, 1, "echo");
        let second = Caller::new(2, "echo");
        assert_eq!(status(&invite(&mut bench, &second)), 503, "{name}");
        assert_eq!(place(&mut bench, "sip:b@10.0.0.2:5070"), Err(CallErrorCause::Limit(name.into())));
        assert_eq!(hit(&bench, name), 2);
        bench.exchange(&first.bye());
        bench.deliver(&second.ack_of_refusal());
        bench.tick();
        bench.tick();
        // Both are admitted while nothing is charged for streams; the one that is answered last finds none.
        let [ringing, other] = [3, 4].map(|call| Caller::new(call, "ring-1"));
        if name == "bandwidth" {
            bench.deliver(&ringing.invite());
            bench.deliver(&other.invite());
            bench.tick();
            bench.take_sent();
            bench.run_ms(1_100);
            let mut answers: Vec<u16> = bench.take_sent().iter().map(|text| status(text)).collect();
            answers.sort_unstable();
            answers.dedup();
            assert_eq!(answers, [200, 503], "{name}");
            assert_eq!(hit(&bench, name), 3);
        }
        bench.pending.push(Input::Command(Command { number: 6, operation: Operation::Drain }));
        bench.tick();
        bench.run_quiet_s(140);
        assert_given_back(bench);
    }
}

#[test]
fn a_measured_load_closes_the_gate_until_a_lower_one_is_reported() {
    let mut config = WorldConfig::default();
    config.settings.resources.load_permille_max = 900;
    let mut bench = Bench::with(config);
    let report = |bench: &mut Bench, cpu_permille| {
        let operation = Operation::ReportLoad { cpu_permille };
        bench.pending.push(Input::Command(Command { number: 7, operation }));
        bench.tick();
    };
    report(&mut bench, 900);
    let refused = Caller::new(1, "echo");
    assert_eq!(status(&invite(&mut bench, &refused)), 503);
    bench.deliver(&refused.ack_of_refusal());
    assert_eq!(hit(&bench, "load"), 1);
    report(&mut bench, 899);
    let mut caller = established(&mut bench, 2, "echo");
    bench.exchange(&caller.bye());
    assert_given_back(bench);
}

#[test]
fn accounts_are_the_same_in_a_restored_world() {
    let mut bench = Bench::new();
    let mut callers: Vec<Caller> = (1..4).map(|call| established(&mut bench, call, "echo")).collect();
    let mut restored = Engine::new(&WorldConfig::default());
    restored.restore(&bench.engine.snapshot(), None).expect("it restores");
    assert_eq!(restored.world().resource::<Accounts>(), accounts(&bench));
    let mut other = Bench::of(restored, 0);
    add_up(&other);
    for caller in &mut callers {
        let bye = caller.bye();
        bench.exchange(&bye);
        other.exchange(&bye);
    }
    assert_given_back(bench);
    assert_given_back(other);
}
