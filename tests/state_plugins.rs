//! A state folder that was written with one list of plugins is refused with another one: the refusal names the plugin, and
//! every file stays as it is.

mod common;
mod town;

use ringworld::components::kernel::{MigrateApp, RestoreError};
use ringworld::config::{Config, SipListen};
use ringworld::engine::{Engine, Extend, Plugins, StartError, Switch, WorldConfig};
use ringworld::prelude::*;
use ringworld::state::{Keeper, StateError, recover};
use ringworld::systems::callengine::CallEnginePlugin;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use town::{Town, everyday_life};

/// A plugin that records nothing: only the list tells that it was there.
struct Tally;

impl Plugin for Tally {
    fn build(&self, _: &mut App) {}
}

struct Extra;

impl Plugin for Extra {
    fn build(&self, _: &mut App) {}
}

fn with_tally(plugins: &mut Plugins) {
    plugins.add(Tally);
}

/// A switch with a state folder of its own. No test here gets so far as to open the port.
fn config(name: &str) -> Config {
    let mut config = Config::default();
    config.network.sip = vec!["udp:127.0.0.1:5060".parse::<SipListen>().expect("an address")];
    config.state.folder =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("state-plugins-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&config.state.folder);
    config
}

/// Writes the folder with [`Tally`] in the list. Its process is ended in order, which leaves a snapshot alone, or killed, and
/// leaves a journal.
fn write(config: &Config, in_order: bool) {
    let world = WorldConfig { epoch: 1, ..town::config() };
    let folder = config.state.folder.join("world-0");
    fs::create_dir_all(&folder).expect("a folder");
    let mut town = Town::new(Engine::with_plugins(&world, with_tally), everyday_life());
    let keeper = Keeper::start(&folder, &world, &town.engine, None, Arc::new(with_tally), None).expect("a keeper");
    town.keeper = Some(keeper);
    town.live(120);
    let keeper = town.keeper.take().expect("a keeper");
    if in_order {
        assert_eq!(keeper.finish(&town.engine).failed, None);
    }
}

/// All files with what is in them, apart from the lock, which every start takes.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            found.extend(files(&entry));
        } else if !entry.ends_with("lock") {
            let content = fs::read(&entry).expect("a file");
            found.insert(entry, content);
        }
    }
    found
}

/// Starts a switch with this list and returns why it was refused.
fn refusal(config: &Config, extend: impl Fn(&mut Plugins) + Send + Sync + 'static) -> StateError {
    let before = files(&config.state.folder);
    assert!(!before.is_empty(), "something was written");
    let error = match Switch::start_with(config, Arc::new(extend)) {
        Ok(_) => panic!("it was taken up with other plugins"),
        Err(StartError::State(error)) => error,
        Err(other) => panic!("{other}"),
    };
    assert!(files(&config.state.folder) == before, "the refusal has changed a file: {error}");
    error
}

/// With its own list the folder is as good as before; the tick at which it goes on.
fn taken_up(config: &Config) -> u64 {
    let own: Extend = Arc::new(with_tally);
    let back =
        recover(&config.state.folder.join("world-0"), &town::config(), &own).expect("in order").expect("a world");
    assert_eq!(back.notes, Vec::<String>::new());
    back.engine.now().0
}

#[test]
fn a_snapshot_of_another_list_is_refused_by_name_and_left_as_it_is() {
    let config = config("snapshot");
    write(&config, true);
    for (extend, words) in [
        ((|_| {}) as fn(&mut Plugins), "made with the plugin state_plugins::Tally, which this world does not have"),
        (
            |plugins| {
                plugins.add(Tally).add(Extra);
            },
            "made without the plugin state_plugins::Extra, which this world has",
        ),
        (
            |plugins| {
                plugins.disable::<CallEnginePlugin>().add(Tally).add(CallEnginePlugin);
            },
            "CallEnginePlugin",
        ),
    ] {
        let error = refusal(&config, extend);
        assert!(matches!(error, StateError::Schema { error: RestoreError::Plugins { .. }, .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
    assert!(taken_up(&config) >= 120);
    fs::remove_dir_all(&config.state.folder).expect("the folder");
}

#[test]
fn a_journal_of_another_list_is_refused_by_name_and_left_as_it_is() {
    let config = config("journal");
    write(&config, false);
    // The snapshot alone is taken with a migration; what came after it can't be run again without the plugin.
    let StateError::Schema { error: RestoreError::Plugins { theirs, .. }, .. } = refusal(&config, |_| {}) else {
        panic!("the snapshot is of another list");
    };
    let error = refusal(&config, move |plugins| {
        plugins.adjust(move |app| {
            app.migrate_plugins(theirs);
        });
    });
    assert!(matches!(error, StateError::OtherPlugins { .. }), "{error}");
    let words = error.to_string();
    assert!(words.contains(".journal can't be replayed: it was made with the plugin state_plugins::Tally"), "{words}");
    assert!(taken_up(&config) >= 100);
    fs::remove_dir_all(&config.state.folder).expect("the folder");
}
