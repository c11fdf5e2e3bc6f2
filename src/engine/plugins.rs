//! The ordered list of plugins that a world is built from.

use super::WorldConfig;
use bevy_app::{App, Plugin};
use ringworld_components::kernel::{Anchor, KernelPlugin, Registry, Secret, Tick, WallTime};
use ringworld_systems::callengine::CallEnginePlugin;
use ringworld_systems::conference::ConferencePlugin;
use ringworld_systems::dialogs::DialogsPlugin;
use ringworld_systems::edge::EdgePlugin;
use ringworld_systems::facts::FactsPlugin;
use ringworld_systems::priority::PriorityPlugin;
use ringworld_systems::registrar::RegistrarPlugin;
use ringworld_systems::relations::RelationsPlugin;
use ringworld_systems::resources::ResourcesPlugin;
use ringworld_systems::session::SessionPlugin;
use ringworld_systems::streams::StreamsPlugin;
use ringworld_systems::subscriptions::SubscriptionsPlugin;
use ringworld_systems::transactions::TransactionsPlugin;
use std::any::{TypeId, type_name};
use std::fmt;

/// The ordered list of a world's plugins: the stock plugins first, then what a user adds.
///
/// The list is a programming-time declaration: a plugin that is added twice, or one to be disabled that is not there,
/// is a panic at start-up. The names of the plugins ([`Plugin::name`]), in order, are part of the schema: a recording
/// or a snapshot of another list is refused, and the refusal names the plugin that differs.
///
/// [`KernelPlugin`], [`EdgePlugin`] and [`FactsPlugin`] are in every world, before all others. They can be neither
/// disabled nor replaced.
///
/// ```
/// use ringworld::prelude::*;
/// use ringworld::systems::callengine::CallEnginePlugin;
///
/// /// Refuses every call.
/// struct RefuseAll;
///
/// impl Plugin for RefuseAll {
///     fn build(&self, app: &mut App) {
///         app.add_systems(Tick, refuse.in_set(Phase::Behaviour));
///     }
/// }
///
/// fn refuse(mut offered: MessageReader<CallOffered>, mut operations: Operations) {
///     operations.for_each_call(offered.read(), |operations, call| {
///         operations.write(Operation::reject(call.session, 603));
///     });
/// }
///
/// let engine = Engine::with_plugins(&WorldConfig::default(), |plugins| {
///     plugins.replace::<CallEnginePlugin>(RefuseAll);
/// });
/// assert!(engine.plugins().iter().any(|name| name.ends_with("RefuseAll")));
/// ```
pub struct Plugins {
    kernel: KernelPlugin,
    entries: Vec<Entry>,
    adjustments: Vec<Change>,
}

/// Changes an application once.
type Change = Box<dyn FnOnce(&mut App)>;

struct Entry {
    name: String,
    kind: TypeId,
    is_unique: bool,
    add: Change,
}

impl Entry {
    fn of<P: Plugin>(plugin: P) -> Self {
        let (name, is_unique) = (plugin.name().to_owned(), plugin.is_unique());
        let add = Box::new(|app: &mut App| {
            app.add_plugins(plugin);
        });
        Self { name, kind: TypeId::of::<P>(), is_unique, add }
    }
}

impl Plugins {
    /// The stock plugins of a world that is made from `config`.
    pub(super) fn stock(config: &WorldConfig) -> Self {
        let (secret, anchor) = (Secret::new(config.secret), Anchor(WallTime(config.began_unix_ms)));
        let kernel = KernelPlugin { secret, world: config.world, epoch: config.epoch, anchor };
        let edge = EdgePlugin { settings: config.settings.clone(), pool_share: config.pool_share };
        let mut plugins =
            Self { kernel, entries: vec![Entry::of(edge), Entry::of(FactsPlugin)], adjustments: Vec::new() };
        plugins
            .add(TransactionsPlugin)
            .add(DialogsPlugin)
            .add(SubscriptionsPlugin)
            .add(RegistrarPlugin)
            .add(SessionPlugin)
            .add(ResourcesPlugin)
            .add(RelationsPlugin)
            .add(PriorityPlugin)
            .add(StreamsPlugin)
            .add(ConferencePlugin)
            .add(CallEnginePlugin);
        plugins
    }

    /// Adds a plugin at the end of the list.
    ///
    /// # Panics
    /// A plugin of the same name is in the list and does not allow a second one ([`Plugin::is_unique`]).
    pub fn add<P: Plugin>(&mut self, plugin: P) -> &mut Self {
        let entry = Entry::of(plugin);
        self.insist_on_new(&entry);
        self.entries.push(entry);
        self
    }

    /// Takes the plugin `P` out of the list.
    ///
    /// # Panics
    /// `P` is not in the list, or is one that every world has.
    pub fn disable<P: Plugin>(&mut self) -> &mut Self {
        let at = self.position::<P>("disabled");
        self.entries.remove(at);
        self
    }

    /// Puts `new` in the place of the plugin `Old`.
    ///
    /// # Panics
    /// `Old` is not in the list, or is one that every world has, or a plugin of the name of `new` is in the list
    /// already.
    pub fn replace<Old: Plugin>(&mut self, new: impl Plugin) -> &mut Self {
        let at = self.position::<Old>("replaced");
        self.entries.remove(at);
        let entry = Entry::of(new);
        self.insist_on_new(&entry);
        self.entries.insert(at, entry);
        self
    }

    /// Puts `plugin` in the place of one of the same type: the same plugin with other settings.
    ///
    /// # Panics
    /// As [`Plugins::replace`].
    pub fn set<P: Plugin>(&mut self, plugin: P) -> &mut Self {
        self.replace::<P>(plugin)
    }

    /// Changes the application once all plugins are built. The change is not part of the list and so not of the schema:
    /// it is for what may differ between a recording and its replay, such as the executor or a setting that is tried
    /// out.
    pub fn adjust(&mut self, change: impl FnOnce(&mut App) + 'static) -> &mut Self {
        self.adjustments.push(Box::new(change));
        self
    }

    /// The names of the plugins, in order.
    pub fn names(&self) -> Vec<&str> {
        std::iter::once(self.kernel.name()).chain(self.entries.iter().map(|entry| entry.name.as_str())).collect()
    }

    /// Builds the plugins in order, and initialises the schedule of a tick.
    ///
    /// # Panics
    /// Two systems that conflict are not ordered, or a plugin does not build.
    pub(super) fn build(self) -> App {
        let mut app = App::empty();
        app.init_resource::<Registry>();
        let kernel = Entry::of(self.kernel);
        for Entry { name, add, .. } in std::iter::once(kernel).chain(self.entries) {
            app.world_mut().resource_mut::<Registry>().begin_plugin(&name);
            add(&mut app);
        }
        app.finish();
        app.cleanup();
        for change in self.adjustments {
            change(&mut app);
        }
        // Here, and not in the first tick: a conflict is reported at once, and systems are initialised in the order in
        // which they were added, whatever is changed about the schedule afterwards.
        app.world_mut().schedule_scope(Tick, |world, schedule| {
            if let Err(error) = schedule.initialize(world) {
                panic!("the systems of this world can't be ordered: {}", error.to_string(schedule.graph(), world));
            }
        });
        app
    }

    fn insist_on_new(&self, entry: &Entry) {
        let is_there = self.names().contains(&entry.name.as_str());
        assert!(
            !(entry.is_unique && is_there),
            "the plugin {} is added twice; the list is {:?}",
            entry.name,
            self.names()
        );
    }

    fn position<P: Plugin>(&self, participle: &str) -> usize {
        let (kind, name) = (TypeId::of::<P>(), type_name::<P>());
        let foundation = [TypeId::of::<KernelPlugin>(), TypeId::of::<EdgePlugin>(), TypeId::of::<FactsPlugin>()];
        assert!(!foundation.contains(&kind), "the plugin {name} can't be {participle}: every world has it");
        let at = self.entries.iter().position(|entry| entry.kind == kind);
        at.unwrap_or_else(|| panic!("there is no plugin {name} to be {participle}; the list is {:?}", self.names()))
    }
}

impl fmt::Debug for Plugins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}
