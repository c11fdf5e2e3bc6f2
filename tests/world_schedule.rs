//! The schedule itself: two systems that could run in either order are an error, and any legal order is as good.

use bevy_ecs::prelude::*;
use bevy_ecs::schedule::{ScheduleBuildSettings, Schedules};
use ringworld::components::kernel::{Phase, Tick};
use ringworld::engine::Engine;

fn builds(engine: &mut Engine) -> Result<(), String> {
    let world = engine.app_mut().world_mut();
    let mut tick = world.resource_mut::<Schedules>().remove(Tick).expect("the schedule");
    let built = tick.initialize(world);
    built.map(|_| ()).map_err(|error| error.to_string(tick.graph(), world))
}

#[test]
fn no_two_systems_are_ambiguous() {
    let mut engine = Engine::new(&Default::default());
    assert_eq!(builds(&mut engine), Ok(()));
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
    let mut engine = Engine::with_plugins(&Default::default(), |app| {
        app.init_resource::<Contested>();
        app.add_systems(Tick, (add, double).in_set(Phase::Behaviour));
    });
    let error = builds(&mut engine).expect_err("an ambiguity");
    assert!(error.contains("add") && error.contains("double"), "{error}");
}

#[test]
fn what_is_not_registered_is_named() {
    #[derive(Component)]
    struct Stowaway;
    let mut engine = Engine::new(&Default::default());
    engine.tick(1, Vec::new());
    assert_eq!(engine.unregistered(), []);
    engine.app_mut().world_mut().spawn(Stowaway);
    let found = format!("{:?}", engine.unregistered());
    assert!(found.contains("Stowaway"), "{found}");
}

#[test]
fn shuffled_orders_are_legal() {
    for seed in 0..4 {
        let mut engine = Engine::new(&Default::default());
        engine.app_mut().edit_schedule(Tick, |schedule| {
            let settings = ScheduleBuildSettings { shuffle_seed: Some(seed), ..schedule.get_build_settings() };
            schedule.set_build_settings(settings);
        });
        engine.tick(1, Vec::new());
        assert_eq!(engine.now().0, 1);
    }
}
