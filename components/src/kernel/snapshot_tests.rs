//! The world as bytes and as digests.

use super::{KernelPlugin, RecordApp, StableId, StableIds};
use super::{RestoreError, difference, digest, encode_world, restore_world};
use crate::record::Record;
use bevy_app::App;
use bevy_ecs::prelude::*;

#[derive(Component, Record, Debug)]
struct Wheels(u32);

#[derive(Component, Record, Debug)]
struct Trailer(Entity);

#[derive(Component, Record, Debug)]
struct Horn(u8);

#[derive(Resource, Record, Default)]
struct Mileage(u64);

fn yard() -> App {
    let mut app = App::empty();
    app.add_plugins(KernelPlugin::default());
    app.record::<Wheels>("yard.wheels").record::<Trailer>("yard.trailer").record_media::<Horn>("yard.horn");
    app.record_resource(Mileage::default(), "yard.mileage");
    app
}

/// Two carts, the first of which pulls the second.
fn with_carts() -> App {
    let mut app = yard();
    let world = app.world_mut();
    let [first, second] = [(); 2].map(|()| world.resource_mut::<StableIds>().mint());
    let pulled = world.spawn((second, Wheels(2), Horn(9))).id();
    world.spawn((first, Wheels(4), Trailer(pulled)));
    world.resource_mut::<Mileage>().0 = 77;
    app
}

fn entity(app: &App, id: u64) -> Entity {
    app.world().resource::<StableIds>().find(StableId(id)).expect("a cart")
}

#[test]
fn a_restored_world_is_the_same_in_whatever_order_it_is_spawned() {
    let (was, snapshot) = (with_carts(), encode_world(with_carts().world()));
    let backwards = |count: usize| (0..count).rev().collect();
    for order in [None, Some(&backwards as &dyn Fn(usize) -> Vec<usize>)] {
        let mut app = yard();
        restore_world(app.world_mut(), &snapshot, order).expect("a snapshot of the same build");
        assert_eq!(digest(app.world()), digest(was.world()));
        assert_eq!(difference(app.world(), was.world()), None);
        assert_eq!(encode_world(app.world()), snapshot);
        let pulled = app.world().get::<Trailer>(entity(&app, 1)).expect("a trailer").0;
        assert_eq!(pulled, entity(&app, 2), "references are found again");
    }
}

#[test]
fn each_value_is_in_the_digest_of_its_channel_and_a_difference_is_named() {
    let before = digest(with_carts().world());
    let changed = |change: fn(&mut App)| {
        let mut app = with_carts();
        change(&mut app);
        let now = digest(app.world());
        let found = difference(app.world(), with_carts().world()).expect("a difference");
        (now.control != before.control, now.media != before.media, found.to_string())
    };
    let wheels = changed(|app| {
        let cart = entity(app, 1);
        app.world_mut().get_mut::<Wheels>(cart).expect("wheels").0 = 5;
    });
    assert_eq!(wheels, (true, false, "yard.wheels of entity #1 differs".into()));
    let horn = changed(|app| {
        let cart = entity(app, 2);
        app.world_mut().entity_mut(cart).remove::<Horn>();
    });
    assert_eq!(horn, (false, true, "yard.horn of entity #2 is only in one of the worlds".into()));
    let mileage = changed(|app| app.world_mut().resource_mut::<Mileage>().0 += 1);
    assert_eq!(mileage, (true, false, "resource yard.mileage differs".into()));
}

#[test]
fn a_snapshot_of_another_build_or_a_damaged_one_is_refused() {
    let snapshot = encode_world(with_carts().world());
    let mut other = App::empty();
    other.add_plugins(KernelPlugin::default());
    let refused = restore_world(other.world_mut(), &snapshot, None);
    assert!(matches!(&refused, Err(RestoreError::Schema { name, .. }) if name.starts_with("yard.")), "{refused:?}");
    assert_eq!(restore_world(yard().world_mut(), b"RWS0", None), Err(RestoreError::Format));
    for length in 4..snapshot.len() {
        let cut = restore_world(yard().world_mut(), &snapshot[..length], None);
        assert!(matches!(cut, Err(RestoreError::Damaged(_))), "{length}: {cut:?}");
    }
}
