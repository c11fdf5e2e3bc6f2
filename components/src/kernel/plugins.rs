//! The ordered list of a world's plugins, which is part of its schema.

use std::fmt;
use xxhash_rust::xxh3::xxh3_64;

/// The first difference between two ordered lists of plugins: `theirs`, of a recording or snapshot, and `ours`, of this
/// world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PluginDifference {
    /// It is in their list but not in ours.
    Missing {
        /// The name of the plugin.
        plugin: String,
    },
    /// It is in our list but not in theirs.
    Added {
        /// The name of the plugin.
        plugin: String,
    },
    /// Both lists hold the same plugins in different orders.
    Order {
        /// The first plugin of their list that has another place in ours.
        plugin: String,
    },
}

impl PluginDifference {
    /// Compares two lists; `None` if they are the same.
    pub fn between(theirs: &[String], ours: &[String]) -> Option<Self> {
        let count = |list: &[String], name: &String| list.iter().filter(|other| *other == name).count();
        let more_in =
            |list: &[String], than: &[String]| list.iter().find(|name| count(list, name) > count(than, name)).cloned();
        if let Some(plugin) = more_in(theirs, ours) {
            return Some(Self::Missing { plugin });
        }
        if let Some(plugin) = more_in(ours, theirs) {
            return Some(Self::Added { plugin });
        }
        let moved = theirs.iter().zip(ours).find(|(theirs, ours)| theirs != ours);
        moved.map(|(plugin, _)| Self::Order { plugin: plugin.clone() })
    }
}

impl fmt::Display for PluginDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { plugin } => {
                write!(f, "it was made with the plugin {plugin}, which this world does not have")
            }
            Self::Added { plugin } => write!(f, "it was made without the plugin {plugin}, which this world has"),
            Self::Order { plugin } => write!(f, "it was made with its plugins in another order, from {plugin} on"),
        }
    }
}

/// A hash of a list of plugins, for [`MigrateApp::migrate_plugins`](super::MigrateApp::migrate_plugins).
pub(super) fn list_hash(plugins: &[String]) -> u64 {
    let mut text = Vec::new();
    for plugin in plugins {
        text.extend_from_slice(&(plugin.len() as u64).to_le_bytes());
        text.extend_from_slice(plugin.as_bytes());
    }
    xxh3_64(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &str) -> Vec<String> {
        names.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn the_first_difference_names_the_plugin() {
        let between = |theirs, ours| PluginDifference::between(&list(theirs), &list(ours));
        let plugin = |name: &str| name.to_owned();
        assert_eq!(between("a b c", "a b c"), None);
        assert_eq!(between("a b c", "a c"), Some(PluginDifference::Missing { plugin: plugin("b") }));
        assert_eq!(between("a c", "a b c"), Some(PluginDifference::Added { plugin: plugin("b") }));
        assert_eq!(between("a b c", "a c b"), Some(PluginDifference::Order { plugin: plugin("b") }));
        assert_eq!(between("a b b", "a b"), Some(PluginDifference::Missing { plugin: plugin("b") }), "added twice");
    }

    #[test]
    fn the_hash_depends_on_order_and_on_where_a_name_ends() {
        assert_ne!(list_hash(&list("a b")), list_hash(&list("b a")));
        assert_ne!(list_hash(&list("ab c")), list_hash(&list("a bc")));
    }
}
