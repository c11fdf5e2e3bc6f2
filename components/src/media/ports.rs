//! The RTP port pairs of a world.

use crate::call::QosClass;
use crate::record::Record;
use bevy_ecs::prelude::*;
use std::collections::VecDeque;

/// Port pairs that the network thread has opened for us. Free ones are used in the order in which they were offered, so
/// a port rests as long as possible between two calls.
#[derive(Resource, Record, Clone, Debug, Default, PartialEq, Eq)]
pub struct PortPool {
    free: VecDeque<u16>,
    taken: Vec<u16>,
    released: Vec<u16>,
    marked: Vec<(u16, QosClass)>,
    in_use: u32,
    in_use_peak: u32,
}

/// What has changed about the pairs of a world, in the order in which the network thread must be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortChanges {
    /// Taken out of stock.
    pub taken: Vec<u16>,
    /// Of another class.
    pub marked: Vec<(u16, QosClass)>,
    /// Released.
    pub released: Vec<u16>,
}

impl PortPool {
    /// A pair was opened, or is at our disposal again.
    pub fn offer(&mut self, port: u16) {
        self.free.push_back(port);
    }

    /// Takes a pair; `None` if none is free.
    pub fn take(&mut self) -> Option<u16> {
        let port = self.free.pop_front()?;
        self.taken.push(port);
        self.in_use += 1;
        self.in_use_peak = self.in_use_peak.max(self.in_use);
        Some(port)
    }

    /// Gives a pair up. It comes back as an input once what was still on its way has been drained.
    pub fn release(&mut self, port: u16) {
        self.released.push(port);
        self.in_use = self.in_use.saturating_sub(1);
    }

    /// The packets of a pair in use are of this class.
    pub fn mark(&mut self, port: u16, class: QosClass) {
        self.marked.push((port, class));
    }

    /// What has changed since the last call, to tell the network thread.
    pub fn changes(&mut self) -> PortChanges {
        PortChanges {
            taken: std::mem::take(&mut self.taken),
            marked: std::mem::take(&mut self.marked),
            released: std::mem::take(&mut self.released),
        }
    }

    /// Whether there is something to tell the network thread.
    pub fn has_changed(&self) -> bool {
        !(self.taken.is_empty() && self.marked.is_empty() && self.released.is_empty())
    }

    /// The pairs that were taken since the last call of [`PortPool::changes`].
    pub fn taken(&self) -> &[u16] {
        &self.taken
    }

    /// Forgets the pairs that were offered: the process that opened them is gone. Pairs in use stay in use.
    pub fn forget_offers(&mut self) {
        self.free.clear();
    }

    /// Pairs in use.
    pub fn in_use(&self) -> u32 {
        self.in_use
    }

    /// The most pairs that were in use at a time.
    pub fn in_use_peak(&self) -> u32 {
        self.in_use_peak
    }

    /// Pairs at our disposal.
    pub fn free(&self) -> usize {
        self.free.len()
    }
}
