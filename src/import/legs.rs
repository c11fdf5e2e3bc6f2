//! Several dialogs with one Call-ID: a host at both ends of it may have a leg of a call that comes in and one that it placed,
//! each with tags and media of its own.

use crate::capture::message;
use bytes::Bytes;
use std::collections::BTreeMap;

/// Tags that are remembered, at most; messages with others belong to the first leg of their Call-ID.
const TAGS_MAX: usize = 1_000_000;

/// Between a Call-ID and the tag of a leg that is not the first one. No header field holds it.
const BEHIND: u8 = 0;

/// Which message belongs to which leg. A leg is named by the Call-ID, and all but the first one by the tag of the party that
/// began it, too.
#[derive(Default)]
pub(super) struct Legs {
    /// By Call-ID and the tag of the party that began the leg.
    by_tag: BTreeMap<(Bytes, Bytes), Bytes>,
    /// The leg that came in last, by Call-ID.
    incoming: BTreeMap<Bytes, Bytes>,
}

impl Legs {
    /// The leg of a message; an INVITE outside of a dialog may begin one. `is_known` says whether there is a leg of a name.
    pub fn of(&mut self, bytes: &[u8], by_host: bool, is_known: impl Fn(&[u8]) -> bool) -> Option<Bytes> {
        let call_id = Bytes::copy_from_slice(message::call_id(bytes)?);
        if let Some(found) = self.find(&call_id, bytes) {
            return Some(found);
        }
        let from = tag(bytes, "From");
        let begins = is_invite(bytes) && tag(bytes, "To").is_none() && self.by_tag.len() < TAGS_MAX;
        let Some(from) = from.filter(|_| begins) else { return Some(call_id) };
        let leg = match is_known(&call_id) {
            true => [&call_id[..], &[BEHIND], &from].concat().into(),
            false => call_id.clone(),
        };
        if !by_host {
            self.incoming.insert(call_id.clone(), leg.clone());
        }
        self.by_tag.insert((call_id, from), leg.clone());
        Some(leg)
    }

    /// The leg of a message of the engine in a dialog that came in.
    pub fn of_incoming(&self, bytes: &[u8]) -> Option<Bytes> {
        let call_id = Bytes::copy_from_slice(message::call_id(bytes)?);
        self.find(&call_id, bytes).or(Some(call_id))
    }

    /// The leg that came in last with this Call-ID.
    pub fn incoming(&self, call_id: &Bytes) -> Option<&Bytes> {
        self.incoming.get(call_id)
    }

    fn find(&self, call_id: &Bytes, bytes: &[u8]) -> Option<Bytes> {
        let tags = ["From", "To"].into_iter().filter_map(|name| tag(bytes, name));
        tags.filter_map(|tag| self.by_tag.get(&(call_id.clone(), tag))).next().cloned()
    }
}

/// The Call-ID of a leg.
pub(super) fn call_id_of(leg: &[u8]) -> &[u8] {
    leg.split(|&byte| byte == BEHIND).next().unwrap_or_default()
}

/// The leg in words.
pub(super) fn in_words(leg: &[u8]) -> String {
    let words: Vec<_> = leg.splitn(2, |&byte| byte == BEHIND).map(String::from_utf8_lossy).collect();
    match words.as_slice() {
        [call_id, tag] => format!("{call_id} (tag {tag})"),
        _ => words.concat(),
    }
}

fn tag(bytes: &[u8], name: &str) -> Option<Bytes> {
    message::header(bytes, name).and_then(message::tag).map(Bytes::copy_from_slice)
}

fn is_invite(bytes: &[u8]) -> bool {
    message::status(bytes).is_none() && message::cseq(bytes).is_some_and(|(_, method)| method == "INVITE")
}
