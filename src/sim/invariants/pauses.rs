//! How long what is sent pauses.

use super::{Breach, Invariant};
use crate::engine::Engine;
use ringworld_components::call::Settings;
use ringworld_components::media::Stream;
use std::collections::BTreeMap;

/// Ticks in a second.
const SECOND: u64 = 200;

/// The tick in which each port last sent, or was first seen to be allowed to.
#[derive(Debug, Default)]
pub(in crate::sim) struct Pauses(BTreeMap<u16, u64>);

impl Pauses {
    /// A packet leaves a port.
    pub fn sent(&mut self, tick: u64, port: u16) {
        if let Some(last) = self.0.get_mut(&port) {
            *last = tick;
        }
    }

    /// Looks at all streams. Ticks that come late, several at once, and packets of several frames cost a second at most.
    pub fn look(&mut self, tick: u64, engine: &Engine) -> Option<Breach> {
        let world = engine.world();
        let pause_s = u64::from(world.resource::<Settings>().timers.rtp_pause_s);
        let mut streams = world.try_query::<&Stream>().filter(|_| pause_s > 0)?;
        let before = std::mem::take(&mut self.0);
        for stream in streams.iter(world).filter(|stream| stream.sends()) {
            self.0.insert(stream.port, before.get(&stream.port).copied().unwrap_or(tick));
        }
        let (port, since) = self.0.iter().find(|(_, since)| tick - **since > (pause_s + 1) * SECOND)?;
        let what = format!("nothing has left port {port} since tick {since}");
        Some(Breach::new(Invariant::PausesAreFilled, what, []))
    }
}
