//! `docs/plugins.md` holds a table of what each stock plugin owns, and of what its systems read and write, `ARCHITECTURE.md` a
//! shorter one. Both are made here, from the registry and the schedule of a world.

use bevy_ecs::component::ComponentId;
use bevy_ecs::prelude::*;
use bevy_ecs::schedule::{InternedSystemSet, Schedule, Schedules, SystemKey};
use bevy_ecs::system::{System, SystemAccess};
use ringworld::components::kernel::{Phase, Registry, Step, Tick};
use ringworld::engine::Engine;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const BEGIN: &str = "<!-- The rest of this page is made by tests/plugins_page.rs. -->\n";

/// Before and after the table of `ARCHITECTURE.md`.
const TABLE: [&str; 2] = ["<!-- The table is made by tests/plugins_page.rs. -->\n", "<!-- Here the table ends. -->\n"];

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
    access: Access,
}

/// What a system reads and writes, each name once.
enum Access {
    Exclusive,
    Shared { reads: BTreeSet<String>, writes: BTreeSet<String> },
}

/// Names in a cell of a table.
fn cell<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
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

    /// The plugin of a system: the one that lies in the same folder.
    fn plugin(&self, path: &str) -> Option<&'a str> {
        let folder_of_plugin = if folder(path) == "ringworld_components::call" { MERGES } else { folder(path) };
        let mut plugins = self.registry.plugins().iter();
        plugins.find(|plugin| folder(plugin) == folder_of_plugin).map(String::as_str)
    }

    /// The systems of each plugin, in the order of the schedule.
    fn rows(&self) -> BTreeMap<&'a str, Vec<Row>> {
        let mut rows: BTreeMap<&str, Vec<Row>> = BTreeMap::new();
        for (key, system) in self.schedule.systems_with_access().expect("an initialised schedule") {
            let path = system.name().to_string();
            let Some(plugin) = self.plugin(&path) else { continue };
            let access = match system.access() {
                SystemAccess::None => Access::Shared { reads: BTreeSet::new(), writes: BTreeSet::new() },
                SystemAccess::Exclusive => Access::Exclusive,
                SystemAccess::Shared(access) => {
                    let access = access.combined_access();
                    let writes = access.writes().as_finite_set().expect("no system writes all but a few");
                    let both = access.reads().as_finite_set().expect("no system reads all but a few");
                    let reads = both.iter().filter(|id| !writes.contains(*id)).map(|id| self.name(id)).collect();
                    Access::Shared { reads, writes: writes.iter().map(|id| self.name(id)).collect() }
                }
            };
            let row = Row { phase: self.phase(key), name: short(&path), access };
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
            text += &match self.owned(plugin).as_str() {
                "" => "Records nothing.\n".to_owned(),
                owned => format!("Records {owned}.\n"),
            };
            let Some(rows) = rows.remove(plugin.as_str()) else { continue };
            text += "\n| phase | system | reads | writes |\n|---|---|---|---|\n";
            for Row { phase, name, access } in rows {
                let (reads, writes) = match &access {
                    Access::Exclusive => ("exclusive".to_owned(), "exclusive".to_owned()),
                    Access::Shared { reads, writes } => (cell(reads), cell(writes)),
                };
                text += &format!("| {phase} | `{name}` | {reads} | {writes} |\n");
            }
        }
        text
    }

    /// The names that a plugin records under.
    fn owned(&self, plugin: &str) -> String {
        let owned: Vec<String> = self.registry.owned_by(plugin).into_iter().map(str::to_owned).collect();
        cell(&owned)
    }

    /// The table of `ARCHITECTURE.md`: one row for each plugin.
    fn overview(&self) -> String {
        let mut text =
            "\n| plugin | systems | records | reads of others | writes of others |\n|---|---|---|---|---|\n".to_owned();
        let rows = self.rows();
        for plugin in self.registry.plugins() {
            let (mut systems, mut last) = (String::new(), None);
            let (mut all_reads, mut all_writes) = (BTreeSet::new(), BTreeSet::new());
            for Row { phase, name, access } in rows.get(plugin.as_str()).into_iter().flatten() {
                systems += &match last.replace(phase) {
                    Some(before) if before == phase => ", ".to_owned(),
                    None => format!("{phase}: "),
                    Some(_) => format!("; {phase}: "),
                };
                let mark = if matches!(access, Access::Exclusive) { "*" } else { "" };
                systems += &format!("`{name}`{mark}");
                let others = |name: &&String| self.owners.get(name.as_str()).is_none_or(|owner| owner != plugin);
                if let Access::Shared { reads, writes } = access {
                    all_reads.extend(reads.iter().filter(others));
                    all_writes.extend(writes.iter().filter(others));
                }
            }
            let systems = systems.replace("; : ", "; ").trim_start_matches(": ").to_owned();
            let (owned, reads, writes) = (self.owned(plugin), cell(all_reads), cell(all_writes));
            text += &format!("| {} | {systems} | {owned} | {reads} | {writes} |\n", short(plugin));
        }
        text + "\n"
    }
}

/// Compares a page with what it should be, or writes it anew if that is asked for.
fn assert_page(name: &str, made: impl Fn(&str) -> Option<String>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let committed = std::fs::read_to_string(&path).expect("the page");
    let made = made(&committed).unwrap_or_else(|| panic!("{name} lacks the line that the table comes after"));
    if committed != made && std::env::var_os("RINGWORLD_WRITE_DOCS").is_some() {
        std::fs::write(&path, made).expect("written");
        return;
    }
    let differs = committed.lines().zip(made.lines()).find(|(committed, made)| committed != made);
    assert!(
        committed == made,
        "{name} is out of date, first at {differs:?}; write it anew with\n\
         RINGWORLD_WRITE_DOCS=1 cargo test --test plugins_page"
    );
}

#[test]
fn the_page_says_what_each_stock_plugin_owns_reads_and_writes() {
    let engine = Engine::new(&Default::default());
    let page = Page::of(engine.world());
    let total: usize = page.rows().values().map(Vec::len).sum();
    let systems = page.schedule.systems_with_access().expect("an initialised schedule");
    let ours = systems.filter(|(_, system)| system.name().to_string().starts_with("ringworld_")).count();
    assert_eq!(total, ours, "every system of ours has a plugin");
    assert_page("docs/plugins.md", |committed| {
        let (head, _) = committed.split_once(BEGIN)?;
        Some(format!("{head}{BEGIN}{}", page.write()))
    });
}

#[test]
fn the_architecture_says_what_each_stock_plugin_owns_and_what_it_touches_of_others() {
    let engine = Engine::new(&Default::default());
    let page = Page::of(engine.world());
    let [begin, end] = TABLE;
    assert_page("ARCHITECTURE.md", |committed| {
        let (head, rest) = committed.split_once(begin)?;
        let (_, tail) = rest.split_once(end)?;
        Some(format!("{head}{begin}{}{end}{tail}", page.overview()))
    });
}

#[test]
fn names_are_shortened_to_what_a_reader_knows() {
    assert_eq!(short("a::b::fire<c::d::Timer>"), "fire<Timer>");
    assert_eq!(folder("ringworld_systems::session::plugin::SessionPlugin"), "ringworld_systems::session");
    assert_eq!(folder("a::timers::fire<b::c::D>"), "a");
}
