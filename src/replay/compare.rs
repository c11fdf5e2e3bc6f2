//! Where two recordings begin to differ.

use super::error::ReplayError;
use super::player::{Player, ReplayOptions, TickReport};
use ringworld_components::edge::Output;
use ringworld_components::kernel::{Difference, Registry, StableId, StableIds, differences};
use std::path::Path;

/// A component by name, and what it holds in each of the two worlds.
pub type Unequal = (String, String, String);

/// How two recordings compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The last tick up to which both worlds are the same.
    pub same_to: u64,
    /// In what the worlds differed before they began, in words. What follows from it is no surprise.
    pub configuration: Vec<String>,
    /// The first difference; `None` if they are the same to the end.
    pub parting: Option<Parting>,
}

/// The first tick after which two worlds are not the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parting {
    /// The tick; where the recordings' ticks differ, the earlier one.
    pub tick: u64,
    /// Whether one of the recordings ends before this tick.
    pub only_in_one: bool,
    /// Whether they took in different things in this tick.
    pub inputs_differ: bool,
    /// The first output that differs, of both, in words.
    pub outputs: Option<(String, String)>,
    /// What differs in the worlds: resources first, then entities by stable id.
    pub differences: Vec<Difference>,
    /// The first entity that differs, with what is different in it: name, value in the first world, in the second.
    pub entity: Option<(StableId, Vec<Unequal>)>,
}

/// Plays two recordings side by side and finds the first tick in which they differ. Two worlds that were made alike,
/// have taken in the same and put out the same are the same, so inputs and outputs are looked at first, and the worlds
/// where these differ.
///
/// # Errors
/// What is wrong with one of the files. A difference between a recording and its own replay is not looked for here.
pub fn compare(a: &Path, b: &Path, options: &ReplayOptions) -> Result<Comparison, ReplayError> {
    let options = ReplayOptions { verify: false, ..options.clone() };
    let (mut a, mut b) = (Player::open_with(a, options.clone())?, Player::open_with(b, options)?);
    let configuration = configuration(&a, &b);
    let mut same_to = a.tick().min(b.tick());
    loop {
        let (of_a, of_b) = (a.step()?, b.step()?);
        let is_same = match (&of_a, &of_b) {
            (Some(x), Some(y)) => x.tick == y.tick && x.taken == y.taken && a.engine().chain() == b.engine().chain(),
            (None, None) => return Ok(Comparison { same_to, configuration, parting: None }),
            _ => false,
        };
        if !is_same {
            return Ok(Comparison { same_to, configuration, parting: Some(part(&a, &b, of_a, of_b)) });
        }
        same_to = a.tick();
    }
}

fn configuration(a: &Player, b: &Player) -> Vec<String> {
    let (a, b) = (a.header(), b.header());
    let mut found = Vec::new();
    let mut differ = |what: &str, differs: bool| {
        if differs {
            found.push(format!("the {what} differ"));
        }
    };
    differ("secret seeds", a.secret != b.secret);
    differ("settings", a.settings != b.settings);
    differ("indices of the worlds", a.world != b.world);
    differ("boot epochs", a.epoch != b.epoch);
    differ("amounts of media kept", a.media != b.media);
    differ("starts", a.start != b.start);
    found
}

fn part(a: &Player, b: &Player, of_a: Option<TickReport>, of_b: Option<TickReport>) -> Parting {
    let differences = differences(a.engine().world(), b.engine().world());
    let entity = differences.iter().find_map(|difference| difference.entity);
    let values = entity.map(|id| {
        let names = differences.iter().filter(|difference| difference.entity == Some(id));
        let value = |player: &Player, name: &str| {
            inspect(player, id)
                .into_iter()
                .find(|(other, _)| *other == name)
                .map_or("(none)".to_owned(), |(_, text)| text)
        };
        (id, names.map(|of| (of.name.clone(), value(a, &of.name), value(b, &of.name))).collect())
    });
    let tick = |report: &Option<TickReport>| report.as_ref().map(|report| report.tick);
    let outputs = of_a.as_ref().zip(of_b.as_ref()).and_then(|(a, b)| first_output(&a.control, &b.control));
    Parting {
        tick: tick(&of_a).into_iter().chain(tick(&of_b)).min().unwrap_or_else(|| a.tick()),
        only_in_one: of_a.is_some() != of_b.is_some(),
        inputs_differ: of_a.zip(of_b).is_some_and(|(a, b)| a.taken != b.taken || a.tick != b.tick),
        outputs,
        differences,
        entity: values,
    }
}

/// What a world's recorded components of an entity hold, by name.
fn inspect(player: &Player, id: StableId) -> Vec<(&'static str, String)> {
    let world = player.engine().world();
    let entity = world.resource::<StableIds>().find(id).and_then(|entity| world.get_entity(entity).ok());
    entity.map(|entity| world.resource::<Registry>().describe(entity)).unwrap_or_default()
}

fn first_output(a: &[Output], b: &[Output]) -> Option<(String, String)> {
    let nothing = || "nothing".to_owned();
    let lengths = a.len().max(b.len());
    (0..lengths).find_map(|at| {
        let (a, b) = (a.get(at), b.get(at));
        let differs = format!("{a:?}") != format!("{b:?}");
        differs.then(|| (a.map_or_else(nothing, in_words), b.map_or_else(nothing, in_words)))
    })
}

/// An output in one line.
pub(crate) fn in_words(output: &Output) -> String {
    match output {
        Output::Sip { target, bytes, .. } => {
            let line = bytes.split(|&byte| byte == b'\r' || byte == b'\n').next().unwrap_or_default();
            format!("{:?} to {} {}", String::from_utf8_lossy(line), target.transport, target.remote)
        }
        other => format!("{other:?}"),
    }
}
