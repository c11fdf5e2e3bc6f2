//! The list of a world's plugins: what is in it, how it is changed, and what can't be.

use ringworld::components::kernel::Registry;
use ringworld::prelude::*;
use ringworld::systems::callengine::CallEnginePlugin;
use ringworld::systems::conference::ConferencePlugin;
use ringworld::systems::edge::EdgePlugin;
use ringworld::testkit::Testkit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// The last parts of the names, in order.
fn plugins(engine: &Engine) -> Vec<&str> {
    engine.plugins().iter().map(|name| name.rsplit("::").next().unwrap_or(name)).collect()
}

/// The message of the panic by which a list of plugins is refused.
fn refused(change: impl Fn(&mut Plugins)) -> String {
    let built = catch_unwind(AssertUnwindSafe(|| Engine::with_plugins(&WorldConfig::default(), change)));
    *built.err().expect("a panic").downcast::<String>().expect("a message")
}

/// The number of a call among those that were offered.
#[derive(Component, Record, Clone, Debug)]
struct Offer {
    number: u32,
}

/// Counts the calls that were offered.
#[derive(Resource, Record, Debug, Default, Clone, Copy, PartialEq)]
struct Offers {
    seen: u32,
}

#[derive(Clone, Copy, Default)]
struct OffersPlugin {
    seen_before: u32,
}

impl Plugin for OffersPlugin {
    fn build(&self, app: &mut App) {
        app.record::<Offer>("offers.offer").record_resource(Offers { seen: self.seen_before }, "offers.count");
        app.add_systems(Tick, count.in_set(Phase::Behaviour));
    }
}

fn count(mut offered: MessageReader<CallOffered>, mut offers: ResMut<Offers>, mut operations: Operations) {
    operations.for_each_call(offered.read(), |operations, call| {
        offers.seen += 1;
        operations.insert(call.entity, Offer { number: offers.seen });
    });
}

#[test]
fn the_stock_plugins_come_first_and_in_order() {
    let engine = Engine::with_plugins(&WorldConfig::default(), |plugins| {
        plugins.add(OffersPlugin::default());
    });
    let stock = Engine::new(&WorldConfig::default());
    assert_eq!(plugins(&stock).first_chunk(), Some(&["KernelPlugin", "EdgePlugin"]));
    assert_eq!(plugins(&stock).last(), Some(&"CallEnginePlugin"));
    assert_eq!(plugins(&engine).strip_prefix(plugins(&stock).as_slice()), Some(["OffersPlugin"].as_slice()));
    assert!(engine.plugins().last().is_some_and(|name| name == "world_plugins::OffersPlugin"), "the full path");
    assert_ne!(engine.schema(), stock.schema());
}

#[test]
fn a_plugin_takes_its_component_and_its_systems_with_it_when_it_is_disabled() {
    let seen = |change: fn(&mut Plugins)| {
        let kit = Testkit::with(change);
        kit.phone("alice").calls("echo").await_answer();
        kit.look(|engine| {
            let recorded = engine.world().resource::<Registry>().owned_by("world_plugins::OffersPlugin");
            assert_eq!(recorded.is_empty(), !engine.world().contains_resource::<Offers>());
            let entities = engine.world().iter_entities();
            let numbers: Vec<u32> = entities.filter_map(|entity| Some(entity.get::<Offer>()?.number)).collect();
            let seen = engine.world().get_resource::<Offers>().map(|offers| offers.seen);
            assert_eq!(
                numbers,
                Vec::from_iter(seen),
                "the call carries its number, if there is a plugin that gives it one"
            );
            seen
        })
    };
    let enabled = |plugins: &mut Plugins| {
        plugins.add(OffersPlugin::default());
    };
    let disabled = |plugins: &mut Plugins| {
        plugins.add(OffersPlugin::default()).disable::<OffersPlugin>();
    };
    let set = |plugins: &mut Plugins| {
        plugins.add(OffersPlugin::default()).set(OffersPlugin { seen_before: 41 });
    };
    assert_eq!(seen(enabled), Some(1));
    assert_eq!(seen(disabled), None);
    assert_eq!(seen(set), Some(42));
}

/// Another routing: every call is answered with the echo.
struct EchoRouter;

impl Plugin for EchoRouter {
    fn build(&self, app: &mut App) {
        app.add_systems(Tick, answer_all.in_set(Phase::Behaviour));
    }
}

fn answer_all(mut offered: MessageReader<CallOffered>, mut operations: Operations) {
    operations.for_each_call(offered.read(), |operations, call| {
        operations.write(Operation::answer(call.session, "echo"));
    });
}

#[test]
fn a_switch_without_the_call_engine_and_with_a_router_of_one_s_own_takes_calls() {
    let kit = Testkit::with(|plugins| {
        plugins.replace::<CallEnginePlugin>(EchoRouter);
    });
    kit.look(|engine| {
        assert!(!engine.plugins().iter().any(|name| name.contains("callengine")), "{:?}", engine.plugins());
        let recorded = engine.world().resource::<Registry>().names();
        assert!(!recorded.iter().any(|(name, _)| name.starts_with("callengine.")), "nothing of it is recorded");
    });
    let alice = kit.phone("alice");
    // A word that the call engine would refuse.
    alice.calls("busy").await_answer();
    alice.plays_tone(620).await_tone(620);
    kit.restart();
    alice.await_tone(620).hangs_up().await_end();
    kit.assert_nothing_left();
    kit.replays();
}

#[test]
fn without_anything_that_decides_a_call_waits_until_its_caller_gives_up() {
    let kit = Testkit::with(|plugins| {
        plugins.disable::<CallEnginePlugin>();
    });
    let alice = kit.phone("alice");
    alice.calls("echo");
    kit.runs(Duration::from_secs(5));
    assert!(!alice.is_in_call());
    alice.hangs_up().await_end();
    kit.assert_nothing_left();
}

#[test]
fn a_replaced_plugin_leaves_its_place_in_the_list() {
    let engine = Engine::with_plugins(&WorldConfig::default(), |plugins| {
        plugins.add(|_: &mut App| {}).replace::<CallEnginePlugin>(OffersPlugin::default());
    });
    let names = plugins(&engine);
    assert_eq!(names.get(names.len() - 2), Some(&"OffersPlugin"), "{names:?}");
}

#[test]
fn a_list_that_makes_no_sense_is_refused_and_the_plugin_named() {
    let said = refused(|plugins| {
        plugins.add(OffersPlugin::default()).add(OffersPlugin::default());
    });
    assert!(said.contains("world_plugins::OffersPlugin is added twice"), "{said}");
    let said = refused(|plugins| {
        plugins.replace::<ConferencePlugin>(CallEnginePlugin);
    });
    assert!(said.contains("CallEnginePlugin is added twice"), "{said}");
    let said = refused(|plugins| {
        plugins.disable::<OffersPlugin>();
    });
    assert!(
        said.contains("no plugin world_plugins::OffersPlugin to be disabled") && said.contains("EdgePlugin"),
        "{said}"
    );
    let said = refused(|plugins| {
        plugins.replace::<EdgePlugin>(OffersPlugin::default());
    });
    assert!(said.contains("EdgePlugin can't be replaced: every world has it"), "{said}");
    let said = refused(|plugins| {
        plugins.disable::<ConferencePlugin>();
    });
    assert!(said.contains("RoomTable"), "what the engine reads is missing: {said}");
}

#[test]
fn a_switch_whose_plugins_do_not_build_says_why_it_does_not_start() {
    let mut config = Config::default();
    config.network.sip = vec!["udp:127.0.0.1:0".parse().expect("an address")];
    let twice = Switch::start_with(
        &config,
        Arc::new(|plugins| {
            plugins.add(OffersPlugin::default()).add(OffersPlugin::default());
        }),
    );
    let error = twice.err().expect("an error");
    assert!(matches!(error, StartError::Plugins(_)), "{error}");
    assert!(error.to_string().contains("OffersPlugin is added twice"), "{error}");
}
