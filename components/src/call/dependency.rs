//! Parent and child sessions.
//!
//! A session has at most one parent and any number of children up to a limit. A dependent child ends when its parent
//! ends; an independent one goes on. What the relation is for is decided by the plugins that link the sessions.

use crate::kernel::{Now, StableId};
use crate::record::Record;
use bevy_ecs::prelude::*;
use std::fmt;

/// The session is a child of another one. The relationship ends when either of them is despawned.
#[derive(Component, Record, Debug)]
#[relationship(relationship_target = ChildSessions)]
pub struct ParentSession(pub Entity);

/// The children of a session, in no particular order: sort them by stable id.
#[derive(Component, Debug)]
#[relationship_target(relationship = ParentSession)]
pub struct ChildSessions(Vec<Entity>);

/// What a child is to its parent; on the child, for as long as it lives.
#[derive(Component, Record, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// What was declared.
    pub kind: DependencyKind,
    /// Its state.
    pub state: DependencyState,
    /// Since when it is in that state.
    pub since: Now,
    /// The stable id of the parent, also when the parent is gone.
    pub parent: StableId,
}

/// What happens to a child when its parent ends.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DependencyKind {
    /// It is ended in the same tick.
    Dependent,
    /// It goes on.
    Independent,
}

/// The state of a dependency.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DependencyState {
    /// Parent and child live.
    Active,
    /// The parent has ended, and the child with it.
    Ending,
    /// The parent has ended, and the child goes on without one.
    Released,
}

/// Why two sessions can't become parent and child. Nothing was changed.
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub enum DependencyError {
    /// There is no such session, or it has ended or is ending.
    UnknownSession(StableId),
    /// A session can't be its own parent.
    SelfParent(StableId),
    /// The child is an ancestor of the parent. The path leads from the child down to the parent and ends with the child
    /// again.
    Cycle(Vec<StableId>),
    /// The child has another parent.
    HasParent {
        /// The child.
        child: StableId,
        /// The parent that it has.
        parent: StableId,
    },
    /// The child has no parent.
    NoParent(StableId),
    /// The parent has as many children as it may have.
    Children(u32),
    /// The chain of parents would be longer than it may be.
    Depth(u32),
}

impl DependencyError {
    /// The limit that refused, for the counter.
    pub fn limit(&self) -> Option<&'static str> {
        match self {
            Self::Children(_) => Some("children"),
            Self::Depth(_) => Some("dependency depth"),
            _ => None,
        }
    }
}

impl fmt::Display for DependencyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownSession(id) => write!(f, "there is no session {id} that could have a parent or a child"),
            Self::SelfParent(id) => write!(f, "{id} can't be its own parent: {id} -> {id}"),
            Self::Cycle(path) => {
                f.write_str("the dependency would be a cycle: ")?;
                for (at, id) in path.iter().enumerate() {
                    write!(f, "{}{id}", if at == 0 { "" } else { " -> " })?;
                }
                Ok(())
            }
            Self::HasParent { child, parent } => write!(f, "{child} has the parent {parent} already"),
            Self::NoParent(child) => write!(f, "{child} has no parent"),
            Self::Children(limit) => write!(f, "the parent has {limit} children, the limit"),
            Self::Depth(limit) => write!(f, "the chain of parents would be longer than {limit}, the limit"),
        }
    }
}

impl std::error::Error for DependencyError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_prints_the_cycle() {
        let cycle = DependencyError::Cycle(vec![StableId(1), StableId(2), StableId(0x1f), StableId(1)]);
        assert_eq!(cycle.to_string(), "the dependency would be a cycle: #1 -> #2 -> #1f -> #1");
        assert_eq!(DependencyError::SelfParent(StableId(3)).to_string(), "#3 can't be its own parent: #3 -> #3");
    }
}
