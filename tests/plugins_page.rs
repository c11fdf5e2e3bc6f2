//! `docs/plugins.md` holds a table of what each stock plugin owns, and of what its systems read and write. It is made here, from
//! the registry and the schedule of a world.

use bevy_ecs::component::ComponentId;
use bevy_ecs::prelude::*;
use bevy_ecs::schedule::{InternedSystemSet, Schedule, Schedules, SystemKey};
use bevy_ecs::system::{System, SystemAccess};
use ringworld::components::kernel::{Phase, Registry, Step, Tick};
use ringworld::engine::Engine;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const BEGIN: &str = "<!-- The rest of this page is made by tests/plugins_page.rs. -->\n";

/// The folder of the plugin that adds the one system beside the data that it works on, `merge_written`.
const MERGES: &str = "ringworld_systems::facts";

const PHASES: [Phase; 11] = [
    Phase::Ingress,
    Phase::Timers,
    Phase::Transactions,
    Phase::Dialogs,
    Phase::Sessions,
    Phase::Behaviour,
    Phase::Admission,
    Phase::Media,
    Phase::Cleanup,
    Phase::Egress,
    Phase::Observe,
];

/// Steps that lie between two phases.
const BETWEEN_PHASES: [Step; 3] = [Step::Deliver, Step::Merge, Step::MergeLate];

/// A type without the paths in it: `Query<call::Session>` is `Query<Session>`.
fn short(name: &str) -> String {
    let mut text = String::new();
    let mut word = String::new();
    for c in name.chars() {
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
        } else if c == ':' {
            word.clear();
        } else {
            text += &std::mem::take(&mut word);
            text.push(c);
        }
    }
    text + &word
}

/// The folder that a path of a type or function lies in: what comes before its last module.
fn folder(path: &str) -> &str {
    let path = path.split('<').next().unwrap_or(path);
    path.rsplitn(3, "::").nth(2).unwrap_or(path)
}

struct Row {
    phase: String,
    name: String,
    reads: String,
    writes: String,
}

struct Page<'a> {
    world: &'a World,
    registry: &'a Registry,
    schedule: &'a Schedule,
    /// Which plugin records what.
    owners: BTreeMap<&'static str, &'a str>,
}

impl<'a> Page<'a> {
    fn of(world: &'a World) -> Self {
        let registry = world.resource::<Registry>();
        let schedule = world.resource::<Schedules>().get(Tick).expect("the schedule");
        let owned = |plugin: &'a String| registry.owned_by(plugin).into_iter().map(move |name| (name, plugin.as_str()));
        Self { world, registry, schedule, owners: registry.plugins().iter().flat_map(owned).collect() }
    }

    fn phase(&self, key: SystemKey) -> String {
        let graph = self.schedule.graph();
        let is_in = |set: InternedSystemSet| graph.systems_in_set(set).is_ok_and(|systems| systems.contains(&key));
        let phase = PHASES.iter().find(|phase| is_in(phase.intern())).map(|phase| format!("{phase:?}"));
        let step = || BETWEEN_PHASES.iter().find(|step| is_in(step.intern())).map(|step| format!("({step:?})"));
        phase.or_else(step).unwrap_or_default()
    }

    /// The recorded name, or the name of the type.
    fn name(&self, id: ComponentId) -> String {
        let of_type = || self.world.components().get_name(id).map(|name| short(&name.to_string()));
        self.registry.name_of(id).map(str::to_owned).or_else(of_type).unwrap_or_default()
    }

    /// Each name once, in order.
    fn list(&self, ids: impl Iterator<Item = ComponentId>) -> String {
        let names: BTreeSet<String> = ids.map(|id| format!("`{}`", self.name(id))).collect();
        names.into_iter().collect::<Vec<_>>().join(", ")
    }

    /// The plugin of a system: the one that lies in the same folder, or, for a timer's, the one that owns the timer.
    fn plugin(&self, path: &str, access: &SystemAccess) -> Option<&'a str> {
        if let (true, SystemAccess::Shared(access)) = (path.contains('<'), access) {
            let writes = access.combined_access().writes().as_finite_set()?;
            let owner = writes.iter().find_map(|id| self.owners.get(self.registry.name_of(id)?));
            return owner.copied();
        }
        let folder_of_plugin = if folder(path) == "ringworld_components::call" { MERGES } else { folder(path) };
        let mut plugins = self.registry.plugins().iter();
        plugins.find(|plugin| folder(plugin) == folder_of_plugin).map(String::as_str)
    }

    /// The systems of each plugin, in the order of the schedule.
    fn rows(&self) -> BTreeMap<&'a str, Vec<Row>> {
        let mut rows: BTreeMap<&str, Vec<Row>> = BTreeMap::new();
        for (key, system) in self.schedule.systems_with_access().expect("an initialised schedule") {
            let path = system.name().to_string();
            let Some(plugin) = self.plugin(&path, system.access()) else { continue };
            let (reads, writes) = match system.access() {
                SystemAccess::None => (String::new(), String::new()),
                SystemAccess::Exclusive => ("exclusive".to_owned(), "exclusive".to_owned()),
                SystemAccess::Shared(access) => {
                    let access = access.combined_access();
                    let writes = access.writes().as_finite_set().expect("no system writes all but a few");
                    let both = access.reads().as_finite_set().expect("no system reads all but a few");
                    let reads = both.iter().filter(|id| !writes.contains(*id));
                    (self.list(reads), self.list(writes.iter()))
                }
            };
            let row = Row { phase: self.phase(key), name: short(&path), reads, writes };
            rows.entry(plugin).or_default().push(row);
        }
        // Two systems of a phase between which there is no order may stand in either.
        for rows in rows.values_mut() {
            rows.sort_by_cached_key(|row| {
                let phase = PHASES.iter().position(|phase| format!("{phase:?}") == row.phase);
                (phase, row.name.clone())
            });
        }
        rows
    }

    fn write(&self) -> String {
        let mut text = String::new();
        let mut rows = self.rows();
        for plugin in self.registry.plugins() {
            text += &format!("\n## {}\n\n`{plugin}`\n\n", short(plugin));
            let owned: Vec<String> = self.registry.owned_by(plugin).iter().map(|name| format!("`{name}`")).collect();
            text += &match owned.as_slice() {
                [] => "Records nothing.\n".to_owned(),
                owned => format!("Records {}.\n", owned.join(", ")),
            };
            let Some(rows) = rows.remove(plugin.as_str()) else { continue };
            text += "\n| phase | system | reads | writes |\n|---|---|---|---|\n";
            for Row { phase, name, reads, writes } in rows {
                text += &format!("| {phase} | `{name}` | {reads} | {writes} |\n");
            }
        }
        text
    }
}

#[test]
fn the_page_says_what_each_stock_plugin_owns_reads_and_writes() {
    let engine = Engine::new(&Default::default());
    let page = Page::of(engine.world());
    let total: usize = page.rows().values().map(Vec::len).sum();
    let systems = page.schedule.systems_with_access().expect("an initialised schedule");
    let ours = systems.filter(|(_, system)| system.name().to_string().starts_with("ringworld_")).count();
    assert_eq!(total, ours, "every system of ours has a plugin");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/plugins.md");
    let committed = std::fs::read_to_string(&path).expect("the page");
    let (head, table) = committed.split_once(BEGIN).expect("the line that the table comes after");
    let made = page.write();
    if table != made && std::env::var_os("RINGWORLD_WRITE_DOCS").is_some() {
        std::fs::write(&path, format!("{head}{BEGIN}{made}")).expect("written");
        return;
    }
    let differs = table.lines().zip(made.lines()).find(|(committed, made)| committed != made);
    assert!(
        table == made,
        "docs/plugins.md is out of date, first at {differs:?}; write it anew with\n\
         RINGWORLD_WRITE_DOCS=1 cargo test --test plugins_page"
    );
}

#[test]
fn names_are_shortened_to_what_a_reader_knows() {
    assert_eq!(short("a::b::fire<c::d::Timer>"), "fire<Timer>");
    assert_eq!(folder("ringworld_systems::session::plugin::SessionPlugin"), "ringworld_systems::session");
    assert_eq!(folder("a::timers::fire<b::c::D>"), "a");
}
