//! A panic in the work for one call costs that call alone; it is counted under the system's name, and nothing is left.

mod common;

use bevy_app::App;
use bevy_ecs::observer::Observer;
use bevy_ecs::prelude::*;
use common::{Bench, Caller, status};
use ringworld::components::call::{Parties, StreamOf};
use ringworld::components::edge::Output;
use ringworld::components::edge::{Command, Event, Input, Operation};
use ringworld::components::kernel::{Now, Phase, RecordApp, StableId, StableIds, Tick};
use ringworld::components::media::{MediaFact, MediaFacts};
use ringworld::engine::{Engine, WorldConfig};

/// A defect of a plugin: it panics when a call to `bomb` gets its stream.
fn explode(added: On<Add<StreamOf>>, streams: Query<&StreamOf>, sessions: Query<&Parties>) {
    let session = streams.get(added.entity).expect("a stream").0;
    let parties = sessions.get(session).expect("a session");
    assert!(!parties.request_uri.starts_with(b"sip:bomb@"), "this call explodes");
}

/// The same when a call to `mine` begins.
fn explode_at_once(added: On<Add<Parties>>, sessions: Query<&Parties>) {
    let parties = sessions.get(added.entity).expect("a session");
    assert!(!parties.request_uri.starts_with(b"sip:mine@"), "this call explodes at once");
}

fn bench() -> Bench {
    let mut config = WorldConfig::default();
    config.settings.services.default = "echo".to_owned();
    let engine = Engine::with_plugins(&config, |plugins| {
        plugins.adjust(|app| {
            app.derived::<Observer>();
            app.world_mut().add_observer(explode);
            app.world_mut().add_observer(explode_at_once);
        });
    });
    let mut bench = Bench::of(engine, 50);
    bench.tick();
    bench
}

#[test]
fn an_incoming_call_whose_answer_panics_is_500_and_the_others_go_on() {
    let mut bench = bench();
    let (bomb, mut neighbour) = (Caller::new(1, "bomb"), Caller::new(2, "echo"));
    bench.deliver(&bomb.invite());
    bench.deliver(&neighbour.invite());
    bench.tick();
    bench.tick();
    let sent = bench.take_sent();
    let to = |call: u32| sent.iter().filter(move |text| text.contains(&format!("Call-ID: call-{call}\r\n")));
    let of_bomb: Vec<u16> = to(1).map(|text| status(text)).collect();
    assert!(of_bomb.ends_with(&[500]), "{of_bomb:?}");
    let answer = to(2).find(|text| status(text) == 200).expect("the neighbour is answered");
    neighbour.learn(answer);
    bench.deliver(&bomb.ack_of_refusal());
    bench.deliver(&neighbour.ack());
    bench.run_ms(100);
    assert_eq!(bench.engine.census().sessions, 1, "the neighbour talks on");
    assert_eq!(bench.engine.counters().panics.get("carry_out_operations"), Some(&1));
    assert_eq!(bench.engine.counters().outcomes.get("internal error"), Some(&1));
    let bye = neighbour.bye();
    assert_eq!(bench.exchange(&bye).iter().map(|text| status(text)).collect::<Vec<_>>(), [200]);
    bench.run_ms(40_000);
    assert_eq!(bench.engine.census(), Default::default());
}

/// What media report when the work for a packet panics.
fn report_the_first_stream(
    now: Res<Now>,
    streams: Query<(Entity, &StableId), With<StreamOf>>,
    mut facts: ResMut<MediaFacts>,
) {
    if let (60, Some((stream, _))) = (now.0, streams.iter().min_by_key(|(_, id)| **id)) {
        facts.0.push(MediaFact::Panicked { stream, system: "receive_packets".into() });
    }
}

#[test]
fn a_call_whose_media_panicked_gets_a_bye() {
    let engine = Engine::with_plugins(&WorldConfig::default(), |plugins| {
        plugins.add(|app: &mut App| {
            app.add_systems(Tick, report_the_first_stream.in_set(Phase::Observe));
        });
    });
    let mut bench = Bench::of(engine, 50);
    bench.tick();
    common::established(&mut bench, 4, "echo");
    bench.take_sent();
    bench.run_ms(400);
    assert!(bench.take_sent().iter().any(|text| text.starts_with("BYE ")), "its peer is told");
    assert_eq!(bench.engine.counters().panics.get("receive_packets"), Some(&1));
    bench.run_ms(80_000);
    assert_eq!(bench.engine.counters().outcomes.get("internal error"), Some(&1));
    bench.assert_baseline();
}

/// Panics in the media's own work: what the feature plants, as no plugin can.
#[cfg(feature = "planted-faults")]
mod media {
    use super::*;
    use common::party::Party;
    use ringworld::components::planted::{Planted, plant};

    /// A room of two, a call that is played a tone, and one in echo; a member of the room and the one in echo speak.
    fn after(fault: Planted) -> Bench {
        let mut bench = Bench::new();
        let joined = [(1, "conf-a"), (2, "conf-a"), (3, "tone"), (4, "echo")];
        let mut parties = joined.map(|(call, user)| Party::join(&mut bench, call, user, 0));
        plant(Some(fault));
        for _ in 0..10 {
            for speaker in [0, 3] {
                parties[speaker].send(&mut bench, &[1; 160]);
            }
            bench.run_ms(20);
        }
        plant(None);
        bench
    }

    fn assert_one_ended(mut bench: Bench, system: &str) {
        let byes = bench.take_sent().iter().filter(|text| text.starts_with("BYE ")).count();
        assert_eq!(byes, 1, "its peer is told");
        assert_eq!(bench.engine.counters().panics.get(system), Some(&1), "and it is not run again");
        bench.run_ms(33_000);
        assert_eq!(bench.engine.counters().outcomes.get("internal error"), Some(&1));
        assert_eq!(bench.engine.census().sessions, 3, "the others talk on");
    }

    #[test]
    fn a_member_of_a_room_whose_ear_panics_is_told_bye_and_the_room_goes_on() {
        assert_one_ended(after(Planted::EarPanics), "mix_rooms");
    }

    #[test]
    fn a_call_whose_player_panics_is_told_bye() {
        assert_one_ended(after(Planted::PlayerPanics), "play_streams");
    }
}

#[test]
fn an_invite_that_panics_is_500_and_leaves_nothing() {
    let mut bench = bench();
    let mine = Caller::new(3, "mine");
    bench.deliver(&mine.invite());
    bench.tick();
    bench.tick();
    let sent: Vec<u16> = bench.take_sent().iter().map(|text| status(text)).collect();
    assert!(sent.ends_with(&[500]), "{sent:?}");
    bench.deliver(&mine.ack_of_refusal());
    bench.run_ms(40_000);
    assert_eq!(bench.engine.counters().panics.get("take_call_events"), Some(&1));
    assert_eq!(bench.engine.census(), Default::default());
}

#[test]
fn a_command_that_panics_is_refused_and_leaves_nothing() {
    let mut bench = bench();
    let place = ringworld::components::edge::PlaceCall {
        from: "sip:me@10.0.0.1".into(),
        to: "sip:bomb@10.0.0.2:5070".into(),
        remote: common::PEER.parse().expect("an address"),
        over_tcp: false,
        local: common::SWITCH.parse().expect("an address"),
        service: "echo".into(),
        sdp: None,
    };
    bench.pending.push(Input::Command(Command { number: 7, operation: Operation::Place(place) }));
    bench.run_ms(100);
    let reply = bench.outputs.iter().find_map(|output| match output {
        Output::Reply(reply) => Some(reply.clone()),
        _ => None,
    });
    let reply = reply.expect("an answer");
    assert!(reply.number == 7 && reply.result.is_err(), "{reply:?}");
    assert!(!bench.outputs.iter().any(|output| matches!(output, Output::Event(Event::Incoming { .. }))));
    assert_eq!(bench.engine.counters().panics.get("carry_out_operations"), Some(&1));
    bench.run_ms(40_000);
    assert_eq!(bench.engine.census(), Default::default());
    assert_eq!(bench.engine.world().resource::<StableIds>().living(), 0);
}
