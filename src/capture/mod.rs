//! Tolerant reading of messages of other programs: those of recordings and of captures, malformed ones included.
//!
//! Nothing here parses more than it must, and nothing fails: what cannot be read is not there. [`message`] reads the
//! header, [`description`] the session description.

pub(crate) mod description;
pub(crate) mod message;
