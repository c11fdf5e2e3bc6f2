//! The header and the footer of a recording.

use super::error::Unlike;
use crate::config::RecordMedia;
use crate::engine::{ChainDigest, Engine, WorldConfig};
use ringworld_components::call::Settings;
use ringworld_components::edge::{Command, Flow, SendFailure};
use ringworld_components::kernel::{Digest, PluginDifference, Registry, Secret};
use ringworld_components::media::MediaFact;
use ringworld_components::record::{DecodeError, Record, Shape, from_bytes, to_bytes};
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64;

/// What a recording begins with: all that a world is made from, and what its build records.
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The version of the build that recorded.
    pub build: String,
    /// The time of day at tick 0, in milliseconds since 1970 (UTC): the anchor of all ticks.
    pub began_unix_ms: u64,
    /// The names of the plugins, in the order in which they were added.
    pub plugins: Vec<String>,
    /// A hash of `names`.
    pub schema: u64,
    /// Every recorded component and resource, and every kind of input, with a hash of its shape.
    pub names: Vec<(String, u64)>,
    /// The index of the world.
    pub world: u8,
    /// How often its state directory had been started.
    pub epoch: u16,
    /// The seed of its randomness.
    pub secret: Secret,
    /// How many packet buffers it kept.
    pub pool_share: u32,
    /// How much of RTP was kept.
    pub media: RecordMedia,
    /// The settings, encoded: they can be decoded once `names` has shown that their shape is known.
    pub settings: Vec<u8>,
    /// Where the world stood when the recording began; `None` for a fresh one.
    pub start: Option<Start>,
}

/// A world that has run before.
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// The tick.
    pub tick: u64,
    /// The world, as `Engine::snapshot` makes it.
    pub snapshot: Vec<u8>,
    /// The digests of what went in and came out until then.
    pub chain: ChainDigest,
}

/// What a recording ends with, unless its process was killed.
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub struct Footer {
    /// The last tick in the recording.
    pub tick: u64,
    /// How many ticks were run; fewer than they counted if some were skipped.
    pub ticks: u64,
    /// Why the recording ended.
    pub ending: Ending,
    /// The digest of the whole world at the end, where it could be taken.
    pub digest: Option<Digest>,
}

/// Why a recording ended.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// The world was stopped.
    Finished,
    /// It had reached its largest size.
    SizeCap,
    /// The disk could not keep up.
    Overrun,
    /// The world broke in the last tick.
    Panicked,
}

impl Header {
    /// What is known before the world is built; [`Header::know`] adds the rest.
    pub(crate) fn new(world: &WorldConfig, media: RecordMedia) -> Self {
        Self {
            build: env!("CARGO_PKG_VERSION").to_owned(),
            began_unix_ms: world.began_unix_ms,
            plugins: Vec::new(),
            schema: 0,
            names: Vec::new(),
            world: world.world,
            epoch: world.epoch,
            secret: Secret::new(world.secret),
            pool_share: u32::try_from(world.pool_share).unwrap_or(u32::MAX),
            media,
            settings: to_bytes(&world.settings),
            start: None,
        }
    }

    pub(crate) fn know(&mut self, engine: &Engine) {
        self.names = names(engine);
        self.schema = xxh3_64(&to_bytes(&self.names));
        self.plugins = engine.plugins().to_vec();
    }

    /// The settings.
    pub fn settings(&self) -> Result<Settings, DecodeError> {
        from_bytes(&self.settings)
    }

    /// What the world was made from.
    pub(crate) fn world_config(&self) -> Result<WorldConfig, DecodeError> {
        Ok(WorldConfig {
            settings: self.settings()?,
            secret: self.secret.key(),
            world: self.world,
            epoch: self.epoch,
            pool_share: (self.pool_share as usize).min(1 << 20),
            began_unix_ms: self.began_unix_ms,
        })
    }

    /// Compares the kinds of inputs, which are the same in all worlds of a build.
    pub(super) fn check_inputs(&self) -> Result<(), Unlike> {
        let theirs = self.names.iter().filter(|(name, _)| name.starts_with(INPUT_PREFIX)).cloned().collect();
        compare(&theirs, &input_names().into_iter().collect())
    }

    /// Compares the list of plugins with that of a world.
    pub(crate) fn plugin_difference(&self, engine: &Engine) -> Option<PluginDifference> {
        PluginDifference::between(&self.plugins, engine.plugins())
    }

    /// Compares the plugins and all names with those of a world.
    pub(super) fn check(&self, engine: &Engine) -> Result<(), Unlike> {
        if let Some(difference) = self.plugin_difference(engine) {
            return Err(Unlike::Plugins(difference));
        }
        compare(&self.names.iter().cloned().collect(), &names(engine).into_iter().collect())
    }
}

const INPUT_PREFIX: &str = "input.";

fn names(engine: &Engine) -> Vec<(String, u64)> {
    let recorded = engine.world().resource::<Registry>().names();
    let mut names: Vec<_> = recorded.into_iter().map(|(name, shape)| (name.to_owned(), shape)).collect();
    names.extend(input_names());
    names.sort_unstable();
    names
}

fn input_names() -> Vec<(String, u64)> {
    fn shape<T: Record>(name: &str) -> (String, u64) {
        (format!("{INPUT_PREFIX}{name}"), xxh3_64(Shape::of::<T>().as_bytes()))
    }
    vec![
        shape::<Settings>("settings"),
        shape::<Flow>("flow"),
        shape::<SendFailure>("send_failure"),
        shape::<Command>("command"),
        shape::<MediaFact>("media_fact"),
    ]
}

fn compare(theirs: &BTreeMap<String, u64>, ours: &BTreeMap<String, u64>) -> Result<(), Unlike> {
    for name in theirs.keys().chain(ours.keys()) {
        match (theirs.get(name), ours.get(name)) {
            (Some(a), Some(b)) if a == b => {}
            (Some(_), Some(_)) => return Err(Unlike::Shape { name: name.clone() }),
            (Some(_), None) => return Err(Unlike::Missing { name: name.clone() }),
            _ => return Err(Unlike::Added { name: name.clone() }),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_named() {
        let table = |names: &[(&str, u64)]| names.iter().map(|(name, shape)| ((*name).to_owned(), *shape)).collect();
        let ours = table(&[("call.session", 1), ("media.flow", 2)]);
        assert!(compare(&ours, &ours).is_ok());
        let changed = compare(&table(&[("call.session", 1), ("media.flow", 3)]), &ours);
        assert_eq!(changed, Err(Unlike::Shape { name: "media.flow".into() }));
        let fewer = compare(&table(&[("call.session", 1)]), &ours);
        assert_eq!(fewer, Err(Unlike::Added { name: "media.flow".into() }));
        let more = compare(&table(&[("call.session", 1), ("media.flow", 2), ("nag.timer", 2)]), &ours);
        assert_eq!(more, Err(Unlike::Missing { name: "nag.timer".into() }));
    }

    #[test]
    fn a_header_holds_what_the_world_was_made_from() {
        let config = WorldConfig { secret: [7; 32], world: 3, epoch: 9, began_unix_ms: 5, ..WorldConfig::default() };
        let mut header = Header::new(&config, RecordMedia::Off);
        header.know(&Engine::new(&config));
        let read: Header = from_bytes(&to_bytes(&header)).unwrap();
        assert_eq!(read, header);
        let world = read.world_config().unwrap();
        assert_eq!((world.secret, world.world, world.epoch, world.settings), ([7; 32], 3, 9, config.settings.clone()));
        assert_eq!(world.began_unix_ms, 5);
        assert!(read.plugins.first().is_some_and(|name| name.ends_with("KernelPlugin")), "{:?}", read.plugins);
        assert!(read.check_inputs().is_ok() && read.check(&Engine::new(&config)).is_ok());
        assert!(!format!("{header:?}").contains("7, 7"), "the secret must not be printed");
    }
}
