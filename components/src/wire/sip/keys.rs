//! Keys by which transactions and dialogs are found: 128-bit hashes over length-prefixed parts, seeded so that a peer
//! can't aim for a collision.

use super::{Method, Request, Via};
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// What a key names; the first octet that is hashed, so that keys of two kinds are never equal.
#[derive(Clone, Copy)]
enum Kind {
    Server = 1,
    OldServer = 2,
    Client = 3,
    Merge = 4,
    Dialog = 5,
    Refused = 6,
}

struct Parts(Vec<u8>);

impl Parts {
    fn new(kind: Kind) -> Self {
        let mut octets = Vec::with_capacity(256);
        octets.push(kind as u8);
        Self(octets)
    }

    fn add(mut self, part: &[u8]) -> Self {
        self.0.extend_from_slice(&(part.len() as u32).to_le_bytes());
        self.0.extend_from_slice(part);
        self
    }

    fn add_lower(self, part: &[u8]) -> Self {
        let mut parts = self.add(part);
        let start = parts.0.len() - part.len();
        if let Some(added) = parts.0.get_mut(start..) {
            added.make_ascii_lowercase();
        }
        parts
    }

    fn add_sent_by(self, via: &Via) -> Self {
        self.add_lower(&via.host).add(&via.port_or_default().to_le_bytes())
    }

    fn hash(&self, seed: u64) -> u128 {
        xxh3_128_with_seed(&self.0, seed)
    }
}

fn tag(tag: &Option<bytes::Bytes>) -> &[u8] {
    tag.as_deref().unwrap_or_default()
}

/// The server transaction that a request belongs to (RFC 3261 section 17.2.3): branch, sent-by and method, where an ACK
/// counts as the INVITE it acknowledges. A CANCEL has a key of its own. Call-ID and CSeq number count as well: they are
/// the same in all requests of a transaction, and some senders give one branch to several transactions.
///
/// Without the magic cookie: Request-URI, To tag, From tag, Call-ID, CSeq number and the topmost Via. The To tag is
/// left out for INVITE and ACK, because an ACK carries the tag of the response where its INVITE had none.
pub fn server_key(request: &Request, seed: u64) -> u128 {
    let method = if request.method == Method::Ack { &Method::Invite } else { &request.method };
    key_of(request, method, seed)
}

/// The server transaction of the INVITE that a CANCEL targets (RFC 3261 section 9.2).
pub fn cancelled_invite_key(request: &Request, seed: u64) -> u128 {
    key_of(request, &Method::Invite, seed)
}

fn key_of(request: &Request, method: &Method, seed: u64) -> u128 {
    let head = &request.head;
    let branch = tag(&head.via.branch);
    if head.via.has_magic_cookie() {
        return Parts::new(Kind::Server)
            .add(branch)
            .add_sent_by(&head.via)
            .add(method.as_str().as_bytes())
            .add(&head.call_id)
            .add(&head.cseq.to_le_bytes())
            .hash(seed);
    }
    let to_tag = if *method == Method::Invite { &[] } else { tag(&head.to.tag) };
    Parts::new(Kind::OldServer)
        .add(request.uri.as_bytes())
        .add(to_tag)
        .add(tag(&head.from.tag))
        .add(&head.call_id)
        .add(&head.cseq.to_le_bytes())
        .add_lower(&head.via.transport)
        .add_sent_by(&head.via)
        .add(branch)
        .add(method.as_str().as_bytes())
        .hash(seed)
}

/// The request that another copy of it, arrived on another path, has in common with it (RFC 3261 section 8.2.2.2):
/// From tag, Call-ID and CSeq.
pub fn merge_key(request: &Request, seed: u64) -> u128 {
    let head = &request.head;
    Parts::new(Kind::Merge)
        .add(tag(&head.from.tag))
        .add(&head.call_id)
        .add(&head.cseq.to_le_bytes())
        .add(head.cseq_method.as_str().as_bytes())
        .hash(seed)
}

/// The client transaction that a response belongs to (RFC 3261 section 17.1.3): the branch of its topmost Via and the
/// method of its CSeq.
pub fn client_key(branch: &[u8], cseq_method: &Method, seed: u64) -> u128 {
    Parts::new(Kind::Client).add(branch).add(cseq_method.as_str().as_bytes()).hash(seed)
}

/// A dialog (RFC 3261 section 12): Call-ID, local and remote tag.
pub fn dialog_key(call_id: &[u8], local_tag: &[u8], remote_tag: &[u8], seed: u64) -> u128 {
    Parts::new(Kind::Dialog).add(call_id).add(local_tag).add(remote_tag).hash(seed)
}

/// What tells a request that doesn't parse from others: its topmost Via and the header fields that an answer repeats.
pub(super) fn refusal_key<'a>(via: &Via, fields: impl Iterator<Item = &'a [u8]>, seed: u64) -> u128 {
    let parts = Parts::new(Kind::Refused).add(via.branch.as_deref().unwrap_or_default()).add_sent_by(via);
    fields.fold(parts, Parts::add).hash(seed)
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, Message, parse_datagram};
    use super::*;

    fn request(method: &str, via: &str, to: &str, call_id: &str) -> Request {
        let text = format!(
            "{method} sip:a@b SIP/2.0\r\nVia: SIP/2.0/{via}\r\nFrom: <sip:a@b>;tag=f\r\nTo: <sip:c@d>{to}\r\nCall-ID: {call_id}\r\nCSeq: 1 {method}\r\n\r\n"
        );
        let Ok(Message::Request(request)) = parse_datagram(text.into(), &Limits::default()) else { panic!() };
        request
    }

    #[test]
    fn an_ack_shares_the_key_of_its_invite_and_a_cancel_has_its_own() {
        for via in ["UDP h;branch=z9hG4bK1", "UDP h;branch=old", "UDP h"] {
            let invite = request("INVITE", via, "", "x");
            let ack = request("ACK", via, ";tag=ours", "x");
            let cancel = request("CANCEL", via, "", "x");
            assert_eq!(server_key(&invite, 7), server_key(&ack, 7), "{via}");
            assert_ne!(server_key(&invite, 7), server_key(&cancel, 7), "{via}");
            assert_eq!(server_key(&invite, 7), cancelled_invite_key(&cancel, 7), "{via}");
            assert_ne!(server_key(&invite, 7), server_key(&invite, 8), "the seed counts");
        }
    }

    #[test]
    fn branch_sent_by_and_method_tell_transactions_apart() {
        let one = server_key(&request("BYE", "UDP h;branch=z9hG4bK1", "", "x"), 7);
        for (via, same) in [
            ("UDP H:5060;branch=z9hG4bK1;rport", true),
            ("UDP h:5061;branch=z9hG4bK1", false),
            ("UDP i;branch=z9hG4bK1", false),
            ("UDP h;branch=z9hG4bK2", false),
            ("UDP h;branch=1", false),
        ] {
            assert_eq!(server_key(&request("BYE", via, "", "x"), 7) == one, same, "{via}");
        }
        assert_ne!(server_key(&request("BYE", "UDP h;branch=z9hG4bK1", "", "y"), 7), one, "another Call-ID");
        assert_ne!(server_key(&request("INFO", "UDP h;branch=z9hG4bK1", "", "x"), 7), one);
    }

    #[test]
    fn old_senders_are_told_apart_by_the_rest() {
        let one = server_key(&request("BYE", "UDP h", ";tag=1", "x"), 7);
        assert_eq!(server_key(&request("BYE", "UDP h;ttl=1", ";tag=1", "x"), 7), one);
        assert_ne!(server_key(&request("BYE", "UDP h", ";tag=2", "x"), 7), one);
        assert_ne!(server_key(&request("BYE", "UDP h", ";tag=1", "y"), 7), one);
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(dialog_key(b"ab", b"c", b"d", 1), dialog_key(b"a", b"bc", b"d", 1));
        assert_ne!(dialog_key(b"a", b"b", b"c", 1), dialog_key(b"a", b"c", b"b", 1));
        assert_ne!(client_key(b"z9hG4bK1", &Method::Invite, 1), client_key(b"z9hG4bK1", &Method::Cancel, 1));
        let (one, two) =
            (request("INVITE", "UDP h;branch=z9hG4bK1", "", "x"), request("INVITE", "UDP p;branch=z9hG4bK2", "", "x"));
        assert_eq!(merge_key(&one, 1), merge_key(&two, 1));
        assert_ne!(merge_key(&one, 1), merge_key(&request("INVITE", "UDP h", "", "y"), 1));
    }
}
