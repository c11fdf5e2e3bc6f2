//! The schedule itself: an ambiguous order of two systems is an error, and every legal order has the same results.

use bevy_app::App;
use bevy_ecs::prelude::*;
use bevy_ecs::schedule::{ScheduleBuildSettings, Schedules};
use ringworld::components::call::{Glare, InviteAim};
use ringworld::components::edge::{Input, Inputs};
use ringworld::components::kernel::{Phase, RecordApp, Tick};
use ringworld::engine::Engine;

#[test]
fn no_two_systems_are_ambiguous() {
    let engine = Engine::new(&Default::default());
    let schedules = engine.world().resource::<Schedules>();
    assert!(schedules.get(Tick).expect("the schedule").graph().conflicting_systems().is_empty());
}

#[test]
fn a_planted_ambiguity_is_an_error_that_names_both_systems() {
    #[derive(Resource, Default)]
    struct Contested(u32);
    fn add(mut contested: ResMut<Contested>) {
        contested.0 += 1;
    }
    fn double(mut contested: ResMut<Contested>) {
        contested.0 *= 2;
    }
    let built = std::panic::catch_unwind(|| {
        Engine::with_plugins(&Default::default(), |plugins| {
            plugins.add(|app: &mut App| {
                app.unrecorded_resource(Contested::default());
                app.add_systems(Tick, (add, double).in_set(Phase::Behaviour));
            });
        })
    });
    let error = built.err().expect("an ambiguity").downcast::<String>().expect("a message");
    assert!(error.contains("can't be ordered") && error.contains("add") && error.contains("double"), "{error}");
}

/// What is found in a world after `plant`. A world with such things may not even be dropped in a debug build: see
/// [`no_world_goes_unchecked`].
fn found_after(plant: impl FnOnce(&mut World)) -> String {
    let mut engine = Engine::new(&Default::default());
    engine.tick(1, Vec::new());
    assert_eq!(engine.unregistered(), []);
    plant(engine.app_mut().world_mut());
    let found = format!("{:?}", engine.unregistered());
    std::mem::forget(engine);
    found
}

#[derive(Component)]
struct Stowaway;

#[test]
fn what_is_not_registered_is_named() {
    #[derive(Resource)]
    struct Cellar;
    let found = found_after(|world| {
        world.spawn(Stowaway);
    });
    assert!(found.contains("Unknown") && found.contains("Stowaway"), "{found}");
    let found = found_after(|world| world.insert_resource(Cellar));
    assert!(found.contains("Unknown") && found.contains("Cellar"), "{found}");
    let found = found_after(|world| world.resource_mut::<Inputs>().0.push(Input::PortOpened(2)));
    assert!(found.contains("NotEmpty") && found.contains("Inputs"), "{found}");
    let found = found_after(|world| {
        world.spawn(Glare { aim: InviteAim::Hold });
    });
    assert!(found.contains("Nameless") && found.contains("call.glare"), "{found}");
}

#[test]
#[cfg(debug_assertions)]
fn no_world_goes_unchecked() {
    let lived = std::panic::catch_unwind(|| {
        let mut engine = Engine::new(&Default::default());
        engine.app_mut().world_mut().spawn(Stowaway);
    });
    let complaint = lived.expect_err("a panic").downcast::<String>().expect("a message");
    assert!(complaint.contains("Stowaway"), "{complaint}");
}

#[test]
fn shuffled_orders_are_legal() {
    for seed in 0..4 {
        let mut engine = Engine::with_plugins(&Default::default(), |plugins| {
            plugins.adjust(move |app| {
                app.edit_schedule(Tick, |schedule| {
                    let settings = ScheduleBuildSettings { shuffle_seed: Some(seed), ..schedule.get_build_settings() };
                    schedule.set_build_settings(settings);
                });
            });
        });
        engine.tick(1, Vec::new());
        assert_eq!(engine.now().0, 1);
    }
}
