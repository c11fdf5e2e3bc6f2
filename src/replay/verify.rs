//! Compares a replay with its recording.

use super::error::{Divergence, ReplayError};
use super::player::{Claims, Player};
use super::scribe::encode_facts;
use bevy_ecs::prelude::*;
use ringworld_components::kernel::{Digest, StableId, StableIds};
use ringworld_components::media::MediaFacts;
use ringworld_components::record::{Decoder, Record};

impl Player {
    /// Compares what the tick led to, and puts the recorded facts where media would have put theirs.
    pub(super) fn compare(&mut self, facts: Vec<u8>) -> Result<(), ReplayError> {
        let tick = self.tick();
        let (recorded, lived) = (self.recorded.digest(), self.engine.chain());
        let with_media = self.claims() == Claims::ControlAndMedia;
        if self.options.verify && recorded.control != lived.control {
            return Err(Divergence::Control { tick }.into());
        }
        if self.options.verify && with_media && recorded.media != lived.media {
            return Err(Divergence::Media { tick }.into());
        }
        if !with_media {
            return self.supply(&facts);
        }
        encode_facts(&self.engine, &mut self.facts);
        if self.options.verify && self.facts != facts {
            return Err(Divergence::Facts { tick }.into());
        }
        Ok(())
    }

    fn supply(&mut self, facts: &[u8]) -> Result<(), ReplayError> {
        if facts.is_empty() {
            return Ok(());
        }
        let ids = self.engine.world().resource::<StableIds>();
        let entity_of = |id| ids.find(StableId(id)).map(Entity::to_bits);
        let facts = MediaFacts::decode(&mut Decoder::with_entities(facts, &entity_of))
            .map_err(|_| Divergence::Facts { tick: self.tick() })?;
        self.engine.app_mut().world_mut().insert_resource(facts);
        Ok(())
    }

    pub(super) fn compare_world(&mut self, recorded: Digest) -> Result<(), ReplayError> {
        if !self.options.verify {
            return Ok(());
        }
        let (tick, lived, same_at) = (self.tick(), self.engine.digest(), self.same_at);
        if lived.control != recorded.control {
            return Err(Divergence::World { tick, is_control: true, same_at }.into());
        }
        if self.claims() == Claims::ControlAndMedia && lived.media != recorded.media {
            return Err(Divergence::World { tick, is_control: false, same_at }.into());
        }
        self.same_at = tick;
        Ok(())
    }

    pub(super) fn compare_end(&mut self) -> Result<(), ReplayError> {
        let Some(footer) = self.reader.footer().cloned() else { return Ok(()) };
        if self.options.verify && footer.tick != self.tick() {
            return Err(Divergence::Ticks { tick: self.tick(), recorded: footer.tick }.into());
        }
        footer.digest.map_or(Ok(()), |digest| self.compare_world(digest))
    }
}
