//! Compares what the host sent with what the engine did, message by message.

use super::call::{Call, Sent};
use super::message::Described;
use super::report::{Difference, Point};
use crate::capture::message;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How much earlier or later than the host the engine may be without that being a difference.
const LATE_MAX: Duration = Duration::from_millis(200);

/// What a message belongs to: responses by the request that they answer, requests by their method.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Response { cseq: u32, method: String },
    Request { method: String },
}

/// Messages by their kind, each with its place among all.
type Sorted<'c> = BTreeMap<Kind, Vec<(usize, &'c Sent)>>;

/// A message of the host and the engine's like it, by their places.
struct Pair<'c> {
    kind: &'c Kind,
    captured: (usize, &'c Sent),
    engine: (usize, &'c Sent),
}

/// Compares one call; returns how many messages of the host have a like of the engine's, too.
pub(super) fn compare(call_id: &str, call: &Call) -> (u64, Vec<Difference>) {
    let is_left_out = |sent: &&Sent| message::status(&sent.bytes).is_none() && call.is_not_repeated(&sent.bytes);
    let captured = sorted(call.captured.iter().filter(|sent| !is_left_out(sent)), call);
    let given = sorted(call.given.iter(), call);
    let kinds: BTreeSet<&Kind> = captured.keys().chain(given.keys()).collect();
    let (mut pairs, mut differences) = (Vec::new(), Vec::new());
    for kind in kinds {
        let mut theirs = captured.get(kind).cloned().unwrap_or_default();
        let mut ours = given.get(kind).cloned().unwrap_or_default();
        // What has the same status, or is a request of the same method, is compared; then the final responses are, even
        // if they are others; what is left has no counterpart.
        for same in [is_alike as fn(&Sent, &Sent) -> bool, are_final] {
            theirs.retain(|&captured| {
                let Some(at) = ours.iter().position(|(_, other)| same(captured.1, other)) else { return true };
                pairs.push(Pair { kind, captured, engine: ours.remove(at) });
                false
            });
        }
        differences.extend(theirs.iter().map(|(_, sent)| lonely(call_id, call, kind, sent, true)));
        differences.extend(ours.iter().map(|(_, sent)| lonely(call_id, call, kind, sent, false)));
    }
    let mut alike = 0;
    pairs.sort_by_key(|pair| pair.captured.0);
    let mut last: Option<&Pair<'_>> = None;
    for pair in &pairs {
        let points = points(pair, last);
        if points.is_empty() {
            alike += 1;
        } else {
            let (at, call_id, about) = (pair.captured.1.at, call_id.to_owned(), in_words(pair.kind));
            differences.push(Difference { at, call_id, about, points, because: None });
        }
        last = last.filter(|last| last.engine.0 > pair.engine.0).or(Some(pair));
    }
    (alike, differences)
}

fn sorted<'c>(sent: impl Iterator<Item = &'c Sent>, call: &Call) -> Sorted<'c> {
    let mut kinds = Sorted::new();
    for (place, sent) in sent.enumerate() {
        let Some((cseq, method)) = message::cseq(&sent.bytes) else { continue };
        // The numbers of our own requests are ours to choose; those of the peer's are in both.
        let kind = match message::status(&sent.bytes) {
            Some(_) => Kind::Response { cseq, method },
            None => Kind::Request { method: call.repeated_by(cseq, &method).to_owned() },
        };
        kinds.entry(kind).or_default().push((place, sent));
    }
    kinds
}

fn is_alike(a: &Sent, b: &Sent) -> bool {
    message::status(&a.bytes) == message::status(&b.bytes)
}

fn are_final(a: &Sent, b: &Sent) -> bool {
    let is_final = |sent: &Sent| message::status(&sent.bytes).is_some_and(|status| status >= 200);
    is_final(a) && is_final(b)
}

fn in_words(kind: &Kind) -> String {
    match kind {
        Kind::Response { cseq, method } => format!("answer to {method} {cseq}"),
        Kind::Request { method } => format!("{method} of the host"),
    }
}

/// How a message of the engine differs from the host's. `last` is the one before it of which the engine's came last.
fn points(pair: &Pair<'_>, last: Option<&Pair<'_>>) -> Vec<Point> {
    let (captured, engine) = (pair.captured.1, pair.engine.1);
    let mut points = Described::of(&captured.bytes).differences(&Described::of(&engine.bytes));
    let seconds = |at: Duration| Some(format!("at {:.3} s", at.as_secs_f64()));
    if captured.at.abs_diff(engine.at) > LATE_MAX {
        let (captured, engine) = (seconds(captured.at), seconds(engine.at));
        points.push(Point { what: "time".to_owned(), captured, engine });
    }
    // What the engine sends in one tick has no order that a peer could rely on.
    if let Some(last) = last.filter(|last| last.engine.0 > pair.engine.0 && last.engine.1.at > engine.at) {
        let than = in_words(last.kind);
        let (captured, engine) = (Some(format!("behind {than}")), Some("before it".to_owned()));
        points.push(Point { what: "order".to_owned(), captured, engine });
    }
    points
}

/// A message that only one of the two sent.
fn lonely(call_id: &str, call: &Call, kind: &Kind, sent: &Sent, is_captured: bool) -> Difference {
    let title = message::title(&sent.bytes);
    let words = match kind {
        Kind::Response { .. } => title.split(" to ").next().unwrap_or_default().to_owned(),
        Kind::Request { .. } => "sent".to_owned(),
    };
    let (captured, engine) = if is_captured { (Some(words), None) } else { (None, Some(words)) };
    let points = vec![Point { what: "message".to_owned(), captured, engine }];
    let because = match &call.ended {
        Some((at, cause)) if is_captured && *at <= sent.at => Some(format!("the engine's call was over: {cause}")),
        Some((at, cause)) if !is_captured && at.abs_diff(sent.at) <= LATE_MAX => {
            Some(format!("the engine's call ended: {cause}"))
        }
        None if is_captured && call.session.is_none() => Some("the engine had no such call".to_owned()),
        _ => None,
    };
    Difference { at: sent.at, call_id: call_id.to_owned(), about: in_words(kind), points, because }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use ringworld_components::kernel::StableId;

    fn sent(at_ms: u64, text: &str) -> Sent {
        Sent { at: Duration::from_millis(at_ms), bytes: Bytes::from(text.to_owned()) }
    }

    fn response(status: u16, cseq: &str) -> String {
        format!("SIP/2.0 {status} X\r\nCSeq: {cseq}\r\n\r\n")
    }

    fn compared(call: &Call) -> (u64, Vec<String>) {
        let (alike, mut found) = compare("c", call);
        found.sort_by_key(|difference| difference.at);
        (alike, found.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn messages_are_compared_by_what_they_answer() {
        let call = Call {
            captured: vec![
                sent(1_000, &response(180, "1 INVITE")),
                sent(2_000, &response(200, "1 INVITE")),
                sent(3_000, &response(486, "2 INVITE")),
                sent(6_100, "BYE x\r\nCSeq: 9 BYE\r\n\r\n"),
            ],
            given: vec![
                sent(1_900, &response(200, "1 INVITE")),
                sent(3_000, &response(200, "2 INVITE")),
                sent(5_000, &response(200, "3 INFO")),
                sent(6_000, "BYE y\r\nCSeq: 1 BYE\r\n\r\n"),
            ],
            session: Some(StableId(1)),
            ..Call::default()
        };
        assert_eq!(
            compared(&call),
            (
                2,
                vec![
                    "    1.000 s  c  answer to INVITE 1\n             message: captured 180 X, the engine none"
                        .to_owned(),
                    "    3.000 s  c  answer to INVITE 2\n             status: captured 486, the engine 200".to_owned(),
                    "    5.000 s  c  answer to INFO 3\n             message: captured none, the engine 200 X"
                        .to_owned(),
                ]
            )
        );
    }

    #[test]
    fn what_is_missing_or_too_much_has_a_reason_where_one_is_known() {
        let bye = sent(3_000, "BYE x\r\nCSeq: 9 BYE\r\n\r\n");
        let ended = Some((Duration::from_millis(2_990), "peer hung up".to_owned()));
        let missing = Call { captured: vec![bye.clone()], ended: ended.clone(), ..Call::default() };
        let extra = Call { given: vec![bye.clone()], ended, ..Call::default() };
        let unknown = Call { captured: vec![bye], ..Call::default() };
        for (call, reason) in [
            (missing, "BYE of the host (the engine's call was over: peer hung up)\n"),
            (extra, "BYE of the host (the engine's call ended: peer hung up)\n"),
            (unknown, "BYE of the host (the engine had no such call)\n"),
        ] {
            let (_, found) = compared(&call);
            assert!(found[0].contains(reason), "{found:?}");
        }
    }

    #[test]
    fn times_and_order_count_beyond_what_ticks_make_of_them() {
        let (one, two) = (response(200, "1 INFO"), response(200, "2 INFO"));
        let call = |given: Vec<Sent>| Call {
            captured: vec![sent(1_000, &one), sent(1_050, &two)],
            given,
            session: Some(StableId(1)),
            ..Call::default()
        };
        assert_eq!(compared(&call(vec![sent(1_100, &one), sent(1_250, &two)])), (2, Vec::new()));
        assert_eq!(compared(&call(vec![sent(1_100, &two), sent(1_100, &one)])), (2, Vec::new()));
        let (alike, found) = compared(&call(vec![sent(1_000, &two), sent(1_300, &one)]));
        assert_eq!(alike, 0);
        assert_eq!(
            found,
            [
                "    1.000 s  c  answer to INFO 1\n             time: captured at 1.000 s, the engine at 1.300 s",
                "    1.050 s  c  answer to INFO 2\n             order: captured behind answer to INFO 1, the engine before it",
            ]
        );
    }

    #[test]
    fn what_was_not_repeated_is_not_compared_and_an_update_is_compared_with_its_invite() {
        let mut call = Call {
            captured: vec![
                sent(1_000, "INFO x\r\nCSeq: 2 INFO\r\n\r\n"),
                sent(2_000, "UPDATE x\r\nCSeq: 3 UPDATE\r\n\r\n"),
            ],
            given: vec![sent(2_000, "INVITE x\r\nCSeq: 7 INVITE\r\n\r\n")],
            ..Call::default()
        };
        call.repeats.insert((2, "INFO".to_owned()), None);
        call.repeats.insert((3, "UPDATE".to_owned()), Some("INVITE"));
        assert_eq!(compared(&call), (1, Vec::new()));
    }
}
