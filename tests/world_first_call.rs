//! One call to the echo, in virtual time.

mod common;

use common::{Bench, Caller, header, status};

#[test]
fn a_call_is_answered_acknowledged_ended_and_leaves_nothing() {
    let mut bench = Bench::new();
    bench.tick();
    let start = bench.engine.census();
    let mut caller = Caller::new(1, "echo");
    let answers = bench.exchange(&caller.invite());
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(status(&answers[0]), 200);
    assert!(header(&answers[0], "Contact").is_some_and(|contact| contact.contains("10.0.0.1:5060")));
    assert!(answers[0].contains("m=audio 10000 RTP/AVP 0"), "{}", answers[0]);
    caller.learn(&answers[0]);
    assert!(bench.exchange(&caller.ack()).is_empty());
    assert_eq!(bench.engine.census().sessions, 1);
    bench.run_ms(1000);
    assert!(bench.sent.len() == 1, "an acknowledged 200 is not sent again");
    let answers = bench.exchange(&caller.bye());
    assert_eq!(answers.iter().map(|answer| status(answer)).collect::<Vec<_>>(), [200]);
    assert_eq!(bench.engine.census().ports, 0, "the port goes back in the tick of the BYE");
    bench.run_ms(33_000);
    assert_eq!(bench.engine.census(), start);
    bench.assert_baseline();
    assert_eq!(bench.engine.counters().outcomes.get("peer hung up"), Some(&1));
}

#[test]
fn a_retransmitted_invite_makes_no_second_call_and_an_unacknowledged_200_is_sent_again() {
    let mut bench = Bench::new();
    let caller = Caller::new(1, "echo");
    bench.exchange(&caller.invite());
    bench.deliver(&caller.invite());
    bench.run_ms(40_000);
    assert_eq!(bench.engine.counters().calls_in, 1);
    let answers: Vec<u64> = bench.sent.iter().filter(|(_, text)| status(text) == 200).map(|(at, _)| *at).collect();
    // T1, 2*T1, 4*T1, then T2, for 64*T1 (RFC 3261 section 13.3.1.4); then a BYE that the peer does not answer.
    assert_eq!(answers.len(), 11, "{answers:?}");
    assert_eq!(answers[1] - answers[0], 100);
    assert_eq!(answers[3] - answers[2], 400);
    assert_eq!(answers[5] - answers[4], 800);
    assert!(bench.sent.iter().any(|(_, text)| text.starts_with("BYE ")));
    bench.run_ms(40_000);
    bench.assert_baseline();
}

#[test]
fn the_world_survives_encode_drop_and_restore_at_every_tick_of_a_call() {
    let script = |tick: u64, caller: &mut Caller, bench: &mut Bench| match tick {
        1 => bench.deliver(&caller.invite()),
        4 => {
            let answer = bench.sent.first().expect("an answer").1.clone();
            caller.learn(&answer);
            bench.deliver(&caller.ack());
        }
        9 => {
            let bye = caller.bye();
            bench.deliver(&bye);
        }
        _ => {}
    };
    let run = |restore_at: Option<u64>| {
        let mut bench = Bench::new();
        let mut caller = Caller::new(7, "echo");
        let mut digests = Vec::new();
        for tick in 0..20 {
            if restore_at == Some(tick) {
                let snapshot = bench.engine.snapshot();
                let mut engine = ringworld::engine::Engine::new(&Default::default());
                let shuffle = |count: usize| (0..count).rev().collect();
                engine.restore(&snapshot, Some(&shuffle)).expect("a snapshot of the same build");
                assert_eq!(engine.digest(), bench.engine.digest(), "restored at tick {tick}");
                bench.engine = engine;
            }
            script(tick, &mut caller, &mut bench);
            bench.tick();
            bench.assert_registered();
            digests.push(bench.engine.digest());
        }
        (digests, bench.sent)
    };
    let straight = run(None);
    for tick in 0..20 {
        assert_eq!(run(Some(tick)), straight, "restored at tick {tick}");
    }
}

#[test]
fn invite_and_cancel_in_one_tick_end_with_487() {
    let mut bench = Bench::new();
    let caller = Caller::new(3, "ring-20");
    bench.deliver(&caller.invite());
    bench.deliver(&caller.request("CANCEL", ""));
    bench.tick();
    let statuses: Vec<u16> = bench.sent.iter().map(|(_, text)| status(text)).collect();
    assert!(statuses.contains(&200) && statuses.contains(&487), "{statuses:?}");
    bench.deliver(&caller.ack_of_refusal());
    bench.run_ms(40_000);
    bench.assert_baseline();
}

#[test]
fn ticks_in_which_nothing_can_happen_may_be_skipped() {
    let run = |skip: bool| {
        let mut bench = Bench::new();
        let mut caller = Caller::new(1, "ring-3");
        bench.deliver(&caller.invite());
        bench.tick();
        let mut runs = 0;
        while bench.engine.now().0 < 8_000 {
            let (now, due) = (bench.engine.now().0, bench.engine.next_due().0);
            if now == 700 {
                let answer = bench.sent.iter().find(|(_, text)| status(text) == 200).expect("an answer").1.clone();
                caller.learn(&answer);
                bench.deliver(&caller.ack());
            }
            if now == 1_000 {
                let bye = caller.bye();
                bench.deliver(&bye);
            }
            let stop = [700, 1_000].into_iter().find(|&stop| stop > now).unwrap_or(8_000);
            bench.skip(if skip && bench.pending.is_empty() { (due.min(stop).max(now + 1) - now) as u32 } else { 1 });
            runs += 1;
        }
        (runs, bench.engine.digest(), bench.sent)
    };
    let (every, digest, sent) = run(false);
    let (few, skipping_digest, skipping_sent) = run(true);
    assert_eq!((skipping_digest, skipping_sent), (digest, sent));
    assert!(few * 20 < every, "{few} of {every} ticks ran");
}
