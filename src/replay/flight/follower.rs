//! The second world, which replays the older chunks.

use super::ring::{Base, MemoryChunks, Packed};
use crate::engine::Extend;
use crate::replay::chunks::unpack;
use crate::replay::error::ReplayError;
use crate::replay::header::{Header, Start};
use crate::replay::player::{Player, ReplayOptions};
use crate::replay::reader::Reader;
use crate::replay::tail::unlogged;
use crate::replay::writer::LEVEL;
use crossbeam::channel::{Receiver, bounded};
use ringworld_components::kernel::RestoreError;
use std::sync::Arc;

/// How low the follower's thread ranks when cores are short: a tenth of what a world's thread gets.
const NICE: i32 = 10;

/// What moves the ring's beginning past some of its chunks.
pub(super) struct Job {
    pub header: Header,
    pub base: Base,
    pub chunks: Vec<Arc<Packed>>,
    pub extend: Extend,
}

/// The result: where the ring begins then, or what is wrong with the world.
pub(super) type Moved = Result<Base, String>;

impl Job {
    /// Does it on a thread of its own. The channel closes without an answer if that thread panics.
    pub fn start(self) -> std::io::Result<Receiver<Moved>> {
        let (tell, told) = bounded(1);
        std::thread::Builder::new().name("flight-follower".to_owned()).spawn(move || {
            // Where it is not allowed, the follower runs like the others.
            let _ = rustix::process::nice(NICE);
            let _ = tell.send(unlogged(|| self.run()));
        })?;
        Ok(told)
    }

    fn run(self) -> Moved {
        self.live().map_err(|error| error.to_string())
    }

    fn live(self) -> Result<Base, ReplayError> {
        let mut header = self.header;
        header.start = start_of(&self.base)?;
        let mark = self.chunks.last().map_or(self.base.mark, |chunk| chunk.mark);
        let options = ReplayOptions { extend: self.extend, ..ReplayOptions::default() };
        let mut player = Player::over(Reader::of(MemoryChunks::of(self.chunks)), header, options)?;
        while player.step()?.is_some() {}
        let (snapshot, chain) = (player.engine().snapshot(), player.engine().chain());
        drop(player);
        Ok(Base { mark, chain, snapshot: Some(Arc::new(pack(&snapshot))) })
    }
}

/// A snapshot, packed.
pub(super) fn pack(snapshot: &[u8]) -> (Vec<u8>, u32) {
    // Packetizer fails only for want of memory, which is not caught elsewhere either; an empty snapshot is refused
    // later.
    let packed = zstd::bulk::compress(snapshot, LEVEL).unwrap_or_default();
    (fitting(packed), u32::try_from(snapshot.len()).unwrap_or(u32::MAX))
}

/// The header of a recording that begins there.
pub(super) fn start_of(base: &Base) -> Result<Option<Start>, ReplayError> {
    let Some(packed) = &base.snapshot else { return Ok(None) };
    let snapshot = unpack(&packed.0, packed.1).ok_or(ReplayError::Restore(RestoreError::Format))?;
    Ok(Some(Start { tick: base.mark.tick, snapshot, chain: base.chain }))
}

/// Packed bytes come in a buffer for the worst case; what is kept is kept in one of its size.
pub(super) fn fitting(packed: Vec<u8>) -> Vec<u8> {
    packed.as_slice().to_vec()
}
