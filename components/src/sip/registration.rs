//! Bindings of registered addresses (RFC 3261 section 10), kept in memory.

use crate::edge::Target;
use crate::kernel::Now;
use crate::record::Record;
use bevy_ecs::prelude::*;
use std::collections::BTreeMap;

/// Where a registered phone is reached.
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The Contact, as text.
    pub contact: String,
    /// The way its REGISTER came.
    pub target: Target,
    /// Until when.
    pub expires: Now,
    /// The Call-ID and CSeq that made it, for the order of updates (section 10.3).
    pub call_id: Vec<u8>,
    /// See `call_id`.
    pub cseq: u32,
}

/// Bindings by address of record.
#[derive(Resource, Record, Clone, Debug, Default, PartialEq, Eq)]
pub struct Registrations(pub BTreeMap<String, Vec<Binding>>);

impl Registrations {
    /// How many bindings there are.
    pub fn bindings(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }
}
