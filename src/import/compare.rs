//! Compares what the host sent with what the engine did, message by message.

use super::account::Difference;
use super::call::{Call, Sent};
use crate::trace::sip;
use std::collections::BTreeMap;

/// What a message belongs to: responses by the request that they answer, requests by their method.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Response { cseq: u32, method: String },
    Request { method: String },
}

/// Compares one call; returns how many messages of the host have a like of the engine's, too.
pub(super) fn compare(call_id: &str, call: &Call) -> (u64, Vec<Difference>) {
    let (mut alike, mut differences) = (0, Vec::new());
    let (captured, given) = (sorted(&call.captured), sorted(&call.given));
    let mut kinds: Vec<&Kind> = captured.keys().chain(given.keys()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    for kind in kinds {
        let mut theirs = captured.get(kind).cloned().unwrap_or_default();
        let mut ours = given.get(kind).cloned().unwrap_or_default();
        // What has the same status, or is a request of the same method, is compared; then the final responses are, even
        // if they are others; what is left has no counterpart.
        for same in [is_alike as fn(&Sent, &Sent) -> bool, are_final] {
            theirs.retain(|sent| {
                let Some(at) = ours.iter().position(|other| same(sent, other)) else { return true };
                let other = ours.remove(at);
                match difference(call_id, kind, Some(sent), Some(other)) {
                    Some(found) => differences.push(found),
                    None => alike += 1,
                }
                false
            });
        }
        differences.extend(theirs.iter().filter_map(|sent| difference(call_id, kind, Some(sent), None)));
        differences.extend(ours.iter().filter_map(|sent| difference(call_id, kind, None, Some(sent))));
    }
    (alike, differences)
}

fn sorted(sent: &[Sent]) -> BTreeMap<Kind, Vec<&Sent>> {
    let mut kinds: BTreeMap<Kind, Vec<&Sent>> = BTreeMap::new();
    for sent in sent {
        let Some((cseq, method)) = sip::cseq(&sent.bytes) else { continue };
        // The numbers of our own requests are ours to choose; those of the peer's are in both.
        let kind = match sip::status(&sent.bytes) {
            Some(_) => Kind::Response { cseq, method },
            None => Kind::Request { method },
        };
        kinds.entry(kind).or_default().push(sent);
    }
    kinds
}

fn is_alike(a: &Sent, b: &Sent) -> bool {
    sip::status(&a.bytes) == sip::status(&b.bytes)
}

fn are_final(a: &Sent, b: &Sent) -> bool {
    let is_final = |sent: &Sent| sip::status(&sent.bytes).is_some_and(|status| status >= 200);
    is_final(a) && is_final(b)
}

/// In what two messages differ; `None` if they are alike. Tags, branches, addresses, ports and reason phrases may
/// differ.
fn difference(call_id: &str, kind: &Kind, captured: Option<&Sent>, engine: Option<&Sent>) -> Option<Difference> {
    let at = captured.or(engine)?.at;
    let about = match kind {
        Kind::Response { cseq, method } => format!("answer to {method} {cseq}"),
        Kind::Request { method } => format!("{method} of the host"),
    };
    let words = |sent: &Sent| match (sip::status(&sent.bytes), media(&sent.bytes)) {
        (None, None) => "sent it".to_owned(),
        (None, Some(media)) => format!("sent it with {media}"),
        (Some(status), None) => status.to_string(),
        (Some(status), Some(media)) => format!("{status} with {media}"),
    };
    let (captured, engine) = (captured.map(words), engine.map(words));
    (captured != engine).then(|| Difference { at, call_id: call_id.to_owned(), about, captured, engine })
}

/// What a session description agrees on, without the address.
fn media(message: &[u8]) -> Option<String> {
    let description = sip::description(message)?;
    let (media, _) = description.rsplit_once(", ")?;
    Some(media.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::time::Duration;

    fn sent(at: u64, text: &str) -> Sent {
        Sent { at: Duration::from_secs(at), bytes: Bytes::from(text.to_owned()) }
    }

    fn response(status: u16, cseq: &str) -> String {
        format!("SIP/2.0 {status} X\r\nCSeq: {cseq}\r\n\r\n")
    }

    #[test]
    fn messages_are_compared_by_what_they_answer() {
        let call = Call {
            captured: vec![
                sent(1, &response(180, "1 INVITE")),
                sent(2, &response(200, "1 INVITE")),
                sent(3, &response(486, "2 INVITE")),
                sent(4, "BYE x\r\nCSeq: 9 BYE\r\n\r\n"),
            ],
            given: vec![
                sent(1, &response(200, "1 INVITE")),
                sent(3, &response(200, "2 INVITE")),
                sent(5, &response(200, "3 INFO")),
                sent(6, "BYE y\r\nCSeq: 1 BYE\r\n\r\n"),
            ],
            ..Call::default()
        };
        let (alike, mut found) = compare("c", &call);
        found.sort_by_key(|difference| difference.at);
        let words: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            words,
            [
                "    1.000 s  c  answer to INVITE 1: captured 180, the engine nothing",
                "    3.000 s  c  answer to INVITE 2: captured 486, the engine 200",
                "    5.000 s  c  answer to INFO 3: captured nothing, the engine 200",
            ]
        );
        assert_eq!(alike, 2);
    }

    #[test]
    fn codecs_and_directions_count_and_addresses_do_not() {
        let ok = |body: &str| format!("SIP/2.0 200 OK\r\nCSeq: 1 INVITE\r\n\r\n{body}");
        let pcmu = |host: &str, more: &str| ok(&format!("c=IN IP4 {host}\r\nm=audio 9 RTP/AVP 0\r\n{more}"));
        let of = |a: String, b: String| {
            compare("c", &Call { captured: vec![sent(0, &a)], given: vec![sent(0, &b)], ..Call::default() })
        };
        assert_eq!(of(pcmu("h", ""), pcmu("g", "")), (1, Vec::new()));
        let (_, found) = of(pcmu("h", ""), pcmu("h", "a=recvonly\r\n"));
        assert_eq!(found[0].engine.as_deref(), Some("200 with recvonly, PCMU"));
    }
}
