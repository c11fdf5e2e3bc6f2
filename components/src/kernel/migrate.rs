//! What an older snapshot needs before this build takes it.

use super::Registry;
use crate::record::DecodeError;
use bevy_app::App;

/// Turns a value's bytes of an older shape into bytes of today's. Entities stand in both as stable ids.
pub type Convert = fn(&[u8]) -> Result<Vec<u8>, DecodeError>;

/// One step from an older schema to today's.
pub(super) struct Migration {
    name: &'static str,
    from: Option<u64>,
    how: How,
}

#[derive(Clone, Copy)]
enum How {
    Convert(Convert),
    Drop,
    Start,
}

/// Declares how snapshots of older builds are taken up. Without a declaration they are refused.
///
/// The shape's hash is the one that the refusal names.
///
/// ```
/// use ringworld_components::kernel::{KernelPlugin, MigrateApp, RecordApp};
/// use ringworld_components::record::{Record, from_bytes, to_bytes};
/// use bevy_app::App;
/// use bevy_ecs::prelude::*;
///
/// #[derive(Component, Record, Debug)]
/// struct Seat { row: u32, is_window: bool }
///
/// let mut app = App::empty();
/// app.add_plugins(KernelPlugin::default()).record::<Seat>("seat");
/// // Once it was the row alone.
/// app.migrate("seat", 0x1234, |old| Ok(to_bytes(&Seat { row: from_bytes(old)?, is_window: false })));
/// ```
pub trait MigrateApp {
    /// Values of `name` that were recorded with the shape `from` are converted.
    fn migrate(&mut self, name: &'static str, from: u64, convert: Convert) -> &mut Self;
    /// What an older build recorded as `name`, with the shape `from`, is left out: this build has no such thing.
    fn migrate_removed(&mut self, name: &'static str, from: u64) -> &mut Self;
    /// An older build did not record `name`: no entity has it, or the resource stays as it is in a fresh world.
    fn migrate_added(&mut self, name: &'static str) -> &mut Self;
    /// Snapshots that were made with another list of plugins are taken if `from` is the hash of that list. The refusal
    /// names the hash. What the other plugins recorded needs declarations of its own.
    fn migrate_plugins(&mut self, from: u64) -> &mut Self;
}

impl MigrateApp for App {
    fn migrate(&mut self, name: &'static str, from: u64, convert: Convert) -> &mut Self {
        declare(self, Migration { name, from: Some(from), how: How::Convert(convert) })
    }

    fn migrate_removed(&mut self, name: &'static str, from: u64) -> &mut Self {
        declare(self, Migration { name, from: Some(from), how: How::Drop })
    }

    fn migrate_added(&mut self, name: &'static str) -> &mut Self {
        declare(self, Migration { name, from: None, how: How::Start })
    }

    fn migrate_plugins(&mut self, from: u64) -> &mut Self {
        self.world_mut().resource_mut::<Registry>().plugin_migrations.push(from);
        self
    }
}

fn declare(app: &mut App, migration: Migration) -> &mut App {
    app.world_mut().resource_mut::<Registry>().migrations.push(migration);
    app
}

/// What becomes of a recorded value.
#[derive(Clone, Copy)]
pub(super) enum Fate {
    /// It is taken as it is.
    Keep,
    /// It is converted first.
    Convert(Convert),
    /// It is left out.
    Drop,
}

/// What becomes of what was recorded as `name`: `theirs` is its shape in the snapshot, `ours` in this build. `None` if
/// nothing was declared for it.
pub(super) fn fate(registry: &Registry, name: &str, theirs: Option<u64>, ours: Option<u64>) -> Option<Fate> {
    if theirs == ours {
        return Some(Fate::Keep);
    }
    let declared = registry.migrations.iter().find(|migration| migration.name == name && migration.from == theirs)?;
    match (declared.how, ours) {
        (How::Convert(convert), Some(_)) => Some(Fate::Convert(convert)),
        (How::Start, Some(_)) | (How::Drop, None) => Some(Fate::Drop),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{KernelPlugin, RecordApp, RestoreError, StableIds, encode_world, restore_world};
    use crate::record::{Record, from_bytes, to_bytes};
    use bevy_ecs::prelude::*;

    mod yesterday {
        use super::*;
        #[derive(Component, Record, Debug)]
        pub struct Seat {
            pub row: u32,
        }
        #[derive(Component, Record, Debug)]
        pub struct Umbrella;
    }

    #[derive(Component, Record, Debug, PartialEq)]
    struct Seat {
        row: u32,
        is_window: bool,
    }

    #[derive(Resource, Record, Debug, PartialEq)]
    struct Weather(u8);

    fn yesterday() -> App {
        let mut app = App::empty();
        app.add_plugins(KernelPlugin::default());
        app.record::<yesterday::Seat>("hall.seat").record::<yesterday::Umbrella>("hall.umbrella");
        for row in 1..=3 {
            let id = app.world_mut().resource_mut::<StableIds>().mint();
            let mut seat = app.world_mut().spawn((id, yesterday::Seat { row }));
            if row == 2 {
                seat.insert(yesterday::Umbrella);
            }
        }
        app
    }

    fn today() -> App {
        let mut app = App::empty();
        app.add_plugins(KernelPlugin::default());
        app.record::<Seat>("hall.seat").record_resource(Weather(7), "hall.weather");
        app
    }

    fn shape(app: &App, name: &str) -> u64 {
        let names = app.world().resource::<Registry>().names();
        names.into_iter().find(|(other, _)| *other == name).expect("a recorded name").1
    }

    fn refused(app: &mut App, snapshot: &[u8]) -> String {
        match restore_world(app.world_mut(), snapshot, None) {
            Err(RestoreError::Schema { name, .. }) => name,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_older_schema_is_refused_until_everything_is_declared() {
        let old = yesterday();
        let (seat, umbrella) = (shape(&old, "hall.seat"), shape(&old, "hall.umbrella"));
        let snapshot = encode_world(old.world());
        let mut app = today();
        assert_eq!(refused(&mut app, &snapshot), "hall.seat");
        let convert: Convert = |old| Ok(to_bytes(&Seat { row: from_bytes(old)?, is_window: true }));
        app.migrate("hall.seat", seat ^ 1, convert);
        assert_eq!(refused(&mut app, &snapshot), "hall.seat", "declared for another shape");
        app.migrate("hall.seat", seat, convert);
        assert_eq!(refused(&mut app, &snapshot), "hall.weather");
        app.migrate_added("hall.weather");
        assert_eq!(refused(&mut app, &snapshot), "hall.umbrella");
        app.migrate_removed("hall.umbrella", umbrella);
        restore_world(app.world_mut(), &snapshot, None).expect("all is declared");
        let mut seats = app.world_mut().query::<&Seat>();
        let mut rows: Vec<_> = seats.iter(app.world()).map(|seat| (seat.row, seat.is_window)).collect();
        rows.sort_unstable();
        assert_eq!(rows, [(1, true), (2, true), (3, true)]);
        assert_eq!(app.world().resource::<Weather>(), &Weather(7), "as it is in a fresh world");
    }

    #[test]
    fn the_refusal_names_what_differs_and_both_shapes() {
        let old = yesterday();
        let error = restore_world(today().world_mut(), &encode_world(old.world()), None).unwrap_err().to_string();
        let theirs = format!("{:016x}", shape(&old, "hall.seat"));
        assert!(error.contains("hall.seat") && error.contains(&theirs) && error.contains("migration"), "{error}");
    }

    #[test]
    fn another_list_of_plugins_is_refused_by_name_until_it_is_declared() {
        let world = |plugins: &[&str]| {
            let mut app = yesterday();
            plugins.iter().for_each(|name| app.world_mut().resource_mut::<Registry>().begin_plugin(name));
            app
        };
        let snapshot = encode_world(world(&["hall", "cloakroom"]).world());
        let mut app = App::empty();
        app.add_plugins(KernelPlugin::default());
        app.record::<yesterday::Seat>("hall.seat").record::<yesterday::Umbrella>("hall.umbrella");
        app.world_mut().resource_mut::<Registry>().begin_plugin("hall");
        let error = restore_world(app.world_mut(), &snapshot, None).unwrap_err();
        assert!(error.to_string().contains("cloakroom"), "{error}");
        let RestoreError::Plugins { theirs, .. } = error else { panic!("{error:?}") };
        app.migrate_plugins(theirs);
        restore_world(app.world_mut(), &snapshot, None).expect("it is declared");
        let schema = |plugins: &[&str]| world(plugins).world().resource::<Registry>().schema();
        assert_ne!(schema(&["hall", "cloakroom"]), schema(&["cloakroom", "hall"]), "the order counts");
    }

    #[test]
    fn a_migration_that_fails_says_where() {
        let old = yesterday();
        let mut app = today();
        app.migrate("hall.seat", shape(&old, "hall.seat"), |_| Err(DecodeError::Invalid("no such row")));
        app.migrate_added("hall.weather").migrate_removed("hall.umbrella", shape(&old, "hall.umbrella"));
        let error = restore_world(app.world_mut(), &encode_world(old.world()), None).unwrap_err().to_string();
        assert!(error.contains("hall.seat") && error.contains("no such row"), "{error}");
    }

    #[test]
    fn damaged_snapshots_are_errors_and_never_a_panic() {
        let whole = encode_world(yesterday().world());
        let fresh = || {
            let mut app = App::empty();
            app.add_plugins(KernelPlugin::default());
            app.record::<yesterday::Seat>("hall.seat").record::<yesterday::Umbrella>("hall.umbrella");
            app
        };
        restore_world(fresh().world_mut(), &whole, None).expect("undamaged");
        for length in 0..whole.len() {
            assert!(restore_world(fresh().world_mut(), &whole[..length], None).is_err(), "cut to {length} bytes");
        }
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            let _ = restore_world(fresh().world_mut(), &bytes, None);
        }
    }
}
