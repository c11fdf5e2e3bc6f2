//! The list of a world's plugins: what is in it, how it is changed, and what can't be.

mod common;

use ringworld::config::Config;
use ringworld::prelude::*;
use ringworld::systems::callengine::CallEnginePlugin;
use ringworld::systems::conference::ConferencePlugin;
use ringworld::systems::edge::EdgePlugin;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// The last parts of the names, in order.
fn plugins(engine: &Engine) -> Vec<&str> {
    engine.plugins().iter().map(|name| name.rsplit("::").next().unwrap_or(name)).collect()
}

/// What the panic says, with which a list of plugins is refused.
fn refused(change: impl Fn(&mut Plugins)) -> String {
    let built = catch_unwind(AssertUnwindSafe(|| Engine::with_plugins(&WorldConfig::default(), change)));
    *built.err().expect("a panic").downcast::<String>().expect("a message")
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
        app.record_resource(Offers { seen: self.seen_before }, "offers.count");
        app.add_systems(Tick, count.in_set(Phase::Behaviour));
    }
}

fn count(mut offered: MessageReader<CallOffered>, mut offers: ResMut<Offers>) {
    offers.seen += offered.read().count() as u32;
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
        let mut bench = common::Bench::of(Engine::with_plugins(&WorldConfig::default(), change), 4);
        common::established(&mut bench, 1, "echo");
        bench.engine.world().get_resource::<Offers>().copied()
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
    assert_eq!(seen(enabled), Some(Offers { seen: 1 }));
    assert_eq!(seen(disabled), None);
    assert_eq!(seen(set), Some(Offers { seen: 42 }));
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
