//! Entities below those that they belong to.

use super::line::about;
use bevy_ecs::prelude::*;
use ringworld_components::call::{
    Group, InviteUsageOf, InviteUsages, MemberOf, Members, Sequence, Session, StreamOf, Streams,
};
use ringworld_components::kernel::{Now, StableId};
use ringworld_components::media::{Participants, Room, Sink, Stream, Voice, VoiceOf};
use ringworld_components::sip::{Dialog, Transaction, TransactionTable, UsageOf, Usages};
use std::collections::BTreeMap;

/// A world's entities by their owners.
pub(super) struct Tree<'w> {
    world: &'w World,
    now: Now,
    /// The transactions of each session, usage and dialog.
    transactions: BTreeMap<Entity, Vec<Entity>>,
}

impl<'w> Tree<'w> {
    pub fn of(world: &'w World, now: Now) -> Self {
        let mut transactions: BTreeMap<Entity, Vec<Entity>> = BTreeMap::new();
        if world.get_resource::<TransactionTable>().is_some_and(|table| !table.is_empty()) {
            for entity in world.iter_entities() {
                if let Some(owner) = entity.get::<Transaction>().and_then(|transaction| transaction.user.entity()) {
                    transactions.entry(owner).or_default().push(entity.id());
                }
            }
        }
        Self { world, now, transactions }
    }

    /// All entities with a stable id that belong to none, by id.
    pub fn roots(&self) -> Vec<Entity> {
        let is_root = |entity: &EntityRef| entity.contains::<StableId>() && self.parent(entity.id()).is_none();
        let roots = self.world.iter_entities().filter(is_root).map(|entity| entity.id()).collect();
        self.sorted(roots)
    }

    /// The entity at the top of the tree that this one is in.
    pub fn root_of(&self, entity: Entity) -> Entity {
        let mut root = entity;
        // The relations have no circles; the bound holds even where a damaged snapshot has one.
        for _ in 0..8 {
            match self.parent(root) {
                Some(parent) => root = parent,
                None => break,
            }
        }
        root
    }

    /// An entity and all that belong to it, in the order in which they are drawn.
    pub fn members(&self, root: Entity) -> Vec<Entity> {
        let mut members = vec![root];
        for child in self.children(root) {
            members.extend(self.members(child));
        }
        members
    }

    /// An entity and all that belong to it, a line each.
    pub fn draw(&self, root: Entity, text: &mut String) {
        self.draw_below(root, "", "", text);
    }

    fn draw_below(&self, entity: Entity, first: &str, rest: &str, text: &mut String) {
        let Ok(reference) = self.world.get_entity(entity) else { return };
        let id = reference.get::<StableId>().map(StableId::to_string).unwrap_or_default();
        text.push_str(&format!("{first}{id} {}\n", about(self.world, reference, self.now)));
        let children = self.children(entity);
        let extra = self.room_of(reference).or_else(|| self.members_of_room(reference));
        let count = children.len() + usize::from(extra.is_some());
        for (at, child) in children.iter().enumerate() {
            let (branch, below) = if at + 1 == count { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            self.draw_below(*child, &format!("{rest}{branch}"), &format!("{rest}{below}"), text);
        }
        if let Some(line) = extra {
            text.push_str(&format!("{rest}└─ {line}\n"));
        }
    }

    /// The room that a participant's stream is in is not a child of the stream, but is shown with it.
    fn room_of(&self, entity: EntityRef) -> Option<String> {
        let Sink::Room(room) = entity.get::<Stream>()?.sink else { return None };
        let room = self.world.get_entity(room).ok()?;
        let id = room.get::<StableId>()?;
        let others = self.sessions_in(room, Some(entity.id()));
        let with = if others.is_empty() { "alone".to_owned() } else { format!("with {}", others.join(", ")) };
        Some(format!("{id} {}, {with}", about(self.world, room, self.now)))
    }

    /// The participants of a room are not its children either.
    fn members_of_room(&self, room: EntityRef) -> Option<String> {
        room.get::<Room>()?;
        let inside = self.sessions_in(room, None);
        (!inside.is_empty()).then(|| format!("inside: {}", inside.join(", ")))
    }

    /// The sessions of all streams in a room but one.
    fn sessions_in(&self, room: EntityRef, but: Option<Entity>) -> Vec<String> {
        let participants = room.get::<Participants>().map(|inside| inside.iter()).into_iter().flatten();
        let streams = participants.filter_map(|participant| Some(self.world.get::<VoiceOf>(participant)?.0));
        let others = streams.filter(|stream| Some(*stream) != but);
        others.filter_map(|stream| self.id(self.root_of(stream))).map(|id| id.to_string()).collect()
    }

    /// A dialog is shown below its INVITE usage; one of subscriptions alone above these.
    fn usage_above(&self, dialog: EntityRef) -> Option<Entity> {
        let mut usages = dialog.get::<Usages>()?.iter();
        usages.find(|usage| self.world.get::<InviteUsageOf>(*usage).is_some())
    }

    fn dialog_below(&self, usage: EntityRef) -> Option<Entity> {
        usage.get::<InviteUsageOf>()?;
        usage.get::<UsageOf>().map(|of| of.0)
    }

    fn subscriptions_below(&self, dialog: EntityRef) -> Vec<Entity> {
        let usages = dialog.get::<Usages>().map(|usages| usages.iter()).into_iter().flatten();
        usages.filter(|usage| self.world.get::<InviteUsageOf>(*usage).is_none()).collect()
    }

    fn parent(&self, entity: Entity) -> Option<Entity> {
        let entity = self.world.get_entity(entity).ok()?;
        let parent = self
            .usage_above(entity)
            .or_else(|| entity.get::<InviteUsageOf>().map(|of| of.0))
            .or_else(|| entity.get::<UsageOf>().map(|of| of.0))
            .or_else(|| entity.get::<StreamOf>().map(|of| of.0))
            .or_else(|| entity.get::<VoiceOf>().map(|of| of.0))
            .or_else(|| entity.get::<MemberOf>().map(|of| of.0))
            .or_else(|| entity.get::<Transaction>().and_then(|transaction| transaction.user.entity()))?;
        self.world.get_entity(parent).ok().map(|parent| parent.id())
    }

    fn children(&self, entity: Entity) -> Vec<Entity> {
        let mut children = Vec::new();
        if let Ok(entity) = self.world.get_entity(entity) {
            children.extend(entity.get::<InviteUsages>().map(|of| of.iter()).into_iter().flatten());
            children.extend(self.dialog_below(entity));
            children.extend(self.subscriptions_below(entity));
            children.extend(entity.get::<Streams>().map(|of| of.iter()).into_iter().flatten());
            children.extend(entity.get::<Voice>().map(|of| of.iter()).into_iter().flatten());
            children.extend(entity.get::<Members>().map(|of| of.iter()).into_iter().flatten());
        }
        children.extend(self.transactions.get(&entity).into_iter().flatten().copied());
        self.sorted(children)
    }

    fn sorted(&self, mut entities: Vec<Entity>) -> Vec<Entity> {
        entities.sort_unstable_by_key(|&entity| self.id(entity));
        entities
    }

    pub fn id(&self, entity: Entity) -> Option<StableId> {
        self.world.get::<StableId>(entity).copied()
    }

    /// Under which heading a root stands.
    pub fn heading(&self, root: Entity) -> &'static str {
        match self.world.get_entity(root) {
            Ok(entity) if entity.contains::<Session>() => "sessions",
            Ok(entity) if entity.contains::<Room>() => "rooms",
            Ok(entity) if entity.contains::<Sequence>() => "sequences",
            Ok(entity) if entity.contains::<Group>() => "groups",
            Ok(entity) if entity.contains::<Dialog>() => "dialogs of subscriptions",
            Ok(entity) if entity.contains::<Transaction>() => "transactions whose call is gone, or that never had one",
            _ => "other entities",
        }
    }
}
