//! How long what is sent pauses.

use super::{Breach, Invariant};
use crate::engine::Engine;
use ringworld_components::call::Settings;
use ringworld_components::kernel::StableId;
use ringworld_components::media::Stream;
use std::collections::BTreeMap;

/// Ticks in a second.
const SECOND: u64 = 200;

/// The stream of each port that may send, and the tick in which it last did, or was first seen to be allowed to.
#[derive(Debug, Default)]
pub(in crate::sim) struct Pauses(BTreeMap<u16, (StableId, u64)>);

impl Pauses {
    /// A packet leaves a port.
    pub fn sent(&mut self, tick: u64, port: u16) {
        if let Some((_, last)) = self.0.get_mut(&port) {
            *last = tick;
        }
    }

    /// Looks at all streams. Ticks that come late, several at once, and packets of several frames cost a second at most.
    pub fn look(&mut self, tick: u64, engine: &Engine) -> Option<Breach> {
        let world = engine.world();
        let pause_s = u64::from(world.resource::<Settings>().timers.rtp_pause_s);
        let mut streams = world.try_query::<(&StableId, &Stream)>().filter(|_| pause_s > 0)?;
        let before = std::mem::take(&mut self.0);
        for (id, stream) in streams.iter(world).filter(|(_, stream)| stream.sends()) {
            // Another stream may have got the port since the last look.
            let same = before.get(&stream.port).filter(|(other, _)| other == id);
            self.0.insert(stream.port, same.copied().unwrap_or((*id, tick)));
        }
        let (port, (_, since)) = self.0.iter().find(|(_, (_, since))| tick - *since > (pause_s + 1) * SECOND)?;
        let what = format!("nothing has left port {port} since tick {since}");
        Some(Breach::new(Invariant::PausesAreFilled, what, []))
    }
}
