//! The table of RFC 6337 section 2, run through by the two sides of a dialog, and what happens on failure.

use super::*;
use crate::record::{from_bytes, to_bytes};
use crate::wire::sdp::{Codec, Direction, SdpError};
use proptest::prelude::*;

fn media(port: u16, direction: Direction) -> LocalMedia<'static> {
    let address = "192.0.2.1".parse().unwrap();
    LocalMedia {
        address,
        port,
        codecs: Codec::ALL,
        offered: &[Codec::Pcmu, Codec::Pcma],
        direction,
        ptime_ms: 20,
        telephone_event: true,
    }
}

const OTHER: &[u8] =
    b"v=0\r\no=- 5 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
const VIDEO: &[u8] =
    b"v=0\r\no=- 5 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=video 4000 RTP/AVP 31\r\n";

/// Two sides of one dialog. Side 0 is the sender of the first INVITE.
struct Pair([Negotiation; 2]);

impl Pair {
    fn new() -> Self {
        Self([Negotiation::new(100), Negotiation::new(200)])
    }

    /// A pair that has agreed by INVITE and 2xx.
    fn established() -> Self {
        let mut pair = Self::new();
        pair.send(0, Carrier::Invite);
        pair.send(1, Carrier::Success);
        pair.assert_agreed();
        pair
    }

    /// One side says what there is to say in this carrier, and the other one takes it.
    fn send(&mut self, from: usize, carrier: Carrier) -> Part {
        self.send_with(from, carrier, Direction::SendRecv)
    }

    fn send_with(&mut self, from: usize, carrier: Carrier, direction: Direction) -> Part {
        let port = if from == 0 { 10_000 } else { 20_000 };
        let described = self.0[from].describe(carrier, &media(port, direction)).unwrap();
        let received = self.0[1 - from].receive(carrier, described.body.as_deref()).unwrap();
        assert!(!received.version_is_wrong && !described.version_is_wrong);
        self.check_record();
        described.part
    }

    /// One side sends a message without a description.
    fn send_bare(&mut self, from: usize, carrier: Carrier) -> Result<(), OfferAnswerError> {
        let sent = self.0[from].pass_bare(Side::Us, carrier).map(|_| ());
        let received = self.0[1 - from].receive(carrier, None).map(|_| ());
        assert_eq!(sent, received, "{carrier:?}");
        received
    }

    fn check_record(&self) {
        for side in &self.0 {
            assert_eq!(from_bytes::<Negotiation>(&to_bytes(side)).unwrap(), *side);
        }
    }

    fn assert_agreed(&self) {
        let [one, two] = [&self.0[0], &self.0[1]].map(|side| side.agreed().unwrap());
        assert_eq!((&one.local, &one.remote), (&two.remote, &two.local));
        assert_eq!((&self.0[0].state, &self.0[1].state), (&OfferState::Stable, &OfferState::Stable));
        let [one, two] = [&self.0[0], &self.0[1]].map(|side| side.audio().unwrap());
        assert_eq!((one.direction, one.codec), (two.direction.mirrored(), two.codec));
        assert_eq!((one.remote.port(), two.remote.port()), (20_000, 10_000));
    }

    fn position(&self) -> Position {
        assert_eq!(self.0[0].position(), self.0[1].position());
        self.0[0].position()
    }
}

/// A pair in this position, of which side 0 is the requester; in an established session or in a first INVITE.
fn pair_in(position: Position) -> Pair {
    let mut pair = Pair::established();
    match position {
        Position::Idle => {}
        Position::InviteBare => pair.send_bare(0, Carrier::Invite).unwrap(),
        Position::InviteOffered => assert_eq!(pair.send(0, Carrier::Invite), Part::Offer),
        Position::InviteSettled => {
            pair.send(0, Carrier::Invite);
            pair.send(1, Carrier::ReliableProvisional);
        }
        Position::ProvisionalOffered => {
            pair.send_bare(0, Carrier::Invite).unwrap();
            pair.send(1, Carrier::ReliableProvisional);
        }
        Position::PrackOffered => {
            pair.send(0, Carrier::Invite);
            pair.send(1, Carrier::ReliableProvisional);
            pair.send(0, Carrier::Prack);
        }
        Position::UpdateOffered => assert_eq!(pair.send(0, Carrier::Update), Part::Offer),
        Position::SuccessOffered => {
            pair.send_bare(0, Carrier::Invite).unwrap();
            pair.send(1, Carrier::Success);
        }
    }
    assert_eq!(pair.position(), position);
    pair
}

/// A carrier, and what a description in it is if the requester sends it, and if the responder does.
type Allowed = (Carrier, Option<Part>, Option<Part>);

/// For every position: what each side may say, by carrier. What is not here is refused: the request of the first column
/// of statuses if the requester sends it, of the second if the responder does.
#[rustfmt::skip]
const TABLE: &[(Position, &[Allowed], (u16, u16))] = {
    use Carrier::*;
    use Part::*;
    &[
        (Position::Idle, &[
            (Invite, Some(Offer), Some(Offer)), (Update, Some(Offer), Some(Offer)),
            (Success, Some(Ignored), Some(Ignored)), (Ack, Some(Ignored), Some(Ignored)),
        ], (400, 400)),
        (Position::InviteBare, &[
            (Provisional, None, Some(Ignored)), (ReliableProvisional, None, Some(Offer)), (Success, None, Some(Offer)),
        ], (500, 491)),
        (Position::InviteOffered, &[
            (Provisional, None, Some(Preview)), (ReliableProvisional, None, Some(Answer)), (Success, None, Some(Answer)),
        ], (500, 491)),
        (Position::InviteSettled, &[
            (Provisional, None, Some(Ignored)), (ReliableProvisional, None, Some(Ignored)), (Success, None, Some(Ignored)),
            (Prack, Some(Offer), None), (Update, Some(Offer), Some(Offer)),
        ], (500, 491)),
        (Position::ProvisionalOffered, &[
            (Provisional, None, Some(Ignored)), (ReliableProvisional, None, Some(Ignored)), (Success, None, Some(Ignored)),
            (Prack, Some(Answer), None),
        ], (500, 491)),
        (Position::PrackOffered, &[
            (Provisional, None, Some(Ignored)), (ReliableProvisional, None, Some(Ignored)), (Success, None, Some(Ignored)),
            (PrackSuccess, None, Some(Answer)),
        ], (500, 491)),
        (Position::UpdateOffered, &[
            (Provisional, Some(Ignored), Some(Ignored)), (ReliableProvisional, Some(Ignored), Some(Ignored)),
            (Success, Some(Ignored), Some(Ignored)), (Ack, Some(Ignored), Some(Ignored)), (UpdateSuccess, None, Some(Answer)),
        ], (500, 491)),
        (Position::SuccessOffered, &[(Ack, Some(Answer), None)], (500, 491)),
    ]
};

#[test]
fn every_position_allows_what_the_table_says_in_both_roles_and_refuses_the_rest_by_status() {
    for &(position, legal, (from_requester, from_responder)) in TABLE {
        let pair = pair_in(position);
        for &carrier in Carrier::ALL {
            let row = legal.iter().find(|(listed, ..)| *listed == carrier);
            let (by_requester, by_responder) = row.map_or((None, None), |&(_, one, other)| (one, other));
            // What the requester sends is seen by both sides alike, and so is what the responder sends.
            for (sender, part, status) in [(0, by_requester, from_requester), (1, by_responder, from_responder)] {
                let sent = pair.0[sender].part_of(Side::Us, carrier);
                let seen = pair.0[1 - sender].part_of(Side::Peer, carrier);
                assert_eq!((sent.ok(), seen.ok()), (part, part), "{position:?}: {carrier:?} of side {sender}");
                let is_glare = matches!(carrier, Carrier::Invite | Carrier::Update);
                let status = if is_glare { status } else { 400 };
                assert_eq!(seen.err().map_or(status, OfferAnswerError::status), status, "{position:?}: {carrier:?}");
            }
        }
    }
}

#[test]
fn the_six_patterns_come_to_an_agreement_in_both_roles() {
    use Carrier::{Ack, Invite, Prack, PrackSuccess, ReliableProvisional, Success, Update, UpdateSuccess};
    /// Steps of one exchange: the sender and the carrier; the flag says that it goes without a description.
    type Steps = &'static [(usize, Carrier, bool)];
    let patterns: [(Steps, bool); 7] = [
        (&[(0, Invite, false), (1, Success, false)], true),
        (&[(0, Invite, true), (1, Success, false), (0, Ack, false)], true),
        (&[(0, Invite, false), (1, ReliableProvisional, false), (0, Prack, true), (1, Success, true)], true),
        (&[(0, Invite, true), (1, ReliableProvisional, false), (0, Prack, false), (1, Success, true)], true),
        (
            &[
                (0, Invite, false),
                (1, ReliableProvisional, false),
                (0, Prack, false),
                (1, PrackSuccess, false),
                (1, Success, true),
            ],
            true,
        ),
        (
            &[
                (0, Invite, false),
                (1, ReliableProvisional, false),
                (1, Update, false),
                (0, UpdateSuccess, false),
                (1, Success, true),
            ],
            true,
        ),
        // An UPDATE of its own needs a session (RFC 3311 section 5.1).
        (&[(0, Update, false), (1, UpdateSuccess, false)], false),
    ];
    for (steps, may_be_first) in patterns {
        for (swap, established) in [(0, false), (0, true), (1, true)] {
            let mut pair = if established { Pair::established() } else { Pair::new() };
            if !established && !may_be_first {
                assert_eq!(pair.0[0].part_of(Side::Us, Update), Err(OfferAnswerError::NotAllowed));
                continue;
            }
            for &(from, carrier, is_bare) in steps {
                let from = from ^ swap;
                if is_bare {
                    pair.send_bare(from, carrier).unwrap();
                } else {
                    assert!(matches!(pair.send(from, carrier), Part::Offer | Part::Answer), "{steps:?}");
                }
            }
            pair.assert_agreed();
            assert_eq!(pair.position(), Position::Idle, "{steps:?}");
        }
    }
}

#[test]
fn a_request_that_fails_leaves_the_last_agreement_on_both_sides() {
    use Carrier::{Ack, Invite, Prack, Update};
    for (position, request) in [
        (Position::InviteBare, Invite),
        (Position::InviteOffered, Invite),
        (Position::ProvisionalOffered, Invite),
        (Position::ProvisionalOffered, Prack),
        (Position::PrackOffered, Prack),
        (Position::UpdateOffered, Update),
        (Position::SuccessOffered, Ack),
    ] {
        let mut pair = pair_in(position);
        let before = pair.0.clone().map(|side| side.agreed().cloned());
        for side in &mut pair.0 {
            let was_settled = side.failed(request);
            assert!(!was_settled, "{position:?}");
            side.failed(Invite);
        }
        assert_eq!(pair.0.clone().map(|side| side.agreed().cloned()), before, "{position:?}");
        assert_eq!(pair.position(), Position::Idle, "{position:?}");
        pair.assert_agreed();
    }
}

#[test]
fn what_was_agreed_reliably_within_a_re_invite_that_fails_stays() {
    let mut pair = Pair::established();
    pair.send_with(0, Carrier::Invite, Direction::SendOnly);
    pair.send(1, Carrier::ReliableProvisional);
    assert!(pair.0.iter_mut().all(|side| side.failed(Carrier::Invite)), "RFC 6141 section 3.4: offer again");
    pair.assert_agreed();
    assert!(pair.0[0].we_hold() && pair.0[1].peer_holds());
}

#[test]
fn a_missing_or_useless_answer_ends_the_exchange_and_not_the_agreement() {
    use Carrier::{Ack, Prack, PrackSuccess, Success, UpdateSuccess};
    for (position, from, carrier) in [
        (Position::InviteOffered, 1, Success),
        (Position::SuccessOffered, 0, Ack),
        (Position::ProvisionalOffered, 0, Prack),
        (Position::PrackOffered, 1, PrackSuccess),
        (Position::UpdateOffered, 1, UpdateSuccess),
    ] {
        let mut pair = pair_in(position);
        assert_eq!(pair.send_bare(from, carrier), Err(OfferAnswerError::AnswerMissing), "{position:?}");
        assert_eq!(pair.0[0].state(), &OfferState::Stable);
        let mut pair = pair_in(position);
        let refused = pair.0[1 - from].receive(carrier, Some(VIDEO));
        assert_eq!(refused, Err(OfferAnswerError::Description(SdpError::Rejected)), "{position:?}");
        assert_eq!(pair.0[1 - from].state(), &OfferState::Stable);
        assert_eq!(pair.0[1 - from].agreed(), Pair::established().0[1 - from].agreed());
    }
    let mut pair = pair_in(Position::InviteBare);
    assert_eq!(pair.send_bare(1, Success), Err(OfferAnswerError::OfferMissing));
    assert_eq!(pair.position(), Position::Idle);
}

#[test]
fn an_offer_that_can_not_be_agreed_to_is_kept_until_it_is_refused() {
    for (offer, status) in [(VIDEO, 488), (&b"nonsense"[..], 400)] {
        let mut side = Pair::established().0[1].clone();
        let before = side.clone();
        side.receive(Carrier::Invite, Some(offer)).unwrap();
        let error = side.describe(Carrier::Success, &media(20_000, Direction::SendRecv)).unwrap_err();
        assert_eq!(error.status(), status);
        assert_eq!((side.agreed(), side.origin()), (before.agreed(), before.origin()), "nothing has changed");
        assert!(!side.failed(Carrier::Invite));
        assert_eq!((side.agreed(), side.origin()), (before.agreed(), before.origin()), "as if it had never come");
        assert_eq!(side.position(), Position::Idle);
    }
}

#[test]
fn an_unreliable_description_is_a_preview_and_the_answer_may_differ() {
    let mut pair = Pair::new();
    pair.send(0, Carrier::Invite);
    let template = pair.0[0].clone();
    assert_eq!(pair.send(1, Carrier::Provisional), Part::Preview);
    let again = pair.0[1].describe(Carrier::Provisional, &media(20_000, Direction::SendRecv)).unwrap();
    assert_eq!(pair.0[0].preview().unwrap().remote, again.body.unwrap(), "the same one each time");
    assert_eq!((pair.0[0].agreed(), pair.0[0].position()), (None, Position::InviteOffered));
    // Another early dialog has the same offer, and a preview and an answer of its own.
    let mut fork = template.fork();
    assert_eq!((fork.preview(), fork.position()), (None, Position::InviteOffered));
    fork.receive(Carrier::Provisional, Some(VIDEO)).unwrap();
    assert_eq!(fork.preview(), None, "what can't be used is no preview");
    fork.receive(Carrier::Success, Some(OTHER)).unwrap();
    assert_eq!(fork.audio().unwrap().remote.port(), 4000);
    // The answer of the first one is not what its preview said.
    pair.0[0].receive(Carrier::Success, Some(OTHER)).unwrap();
    assert_eq!((pair.0[0].audio().unwrap().remote.port(), pair.0[0].preview()), (4000, None));
    // Without a description in the 2xx the preview counts (RFC 3261 section 13.2.1).
    let mut early = template;
    early.receive(Carrier::Provisional, Some(OTHER)).unwrap();
    assert_eq!(early.receive(Carrier::Success, None).unwrap().part, Some(Part::Answer));
    assert_eq!(early.audio().unwrap().remote.port(), 4000);
}

#[test]
fn our_version_rises_by_one_for_each_description_that_is_sent_and_differs() {
    let mut pair = Pair::established();
    let version = |pair: &Pair| pair.0[0].origin().version;
    assert_eq!(version(&pair), 1);
    pair.send(0, Carrier::Invite);
    pair.send(1, Carrier::Success);
    assert_eq!(version(&pair), 1, "the same description has the same version");
    // A re-INVITE of the peer that we refuse: nothing was sent.
    let mut side = pair.0[0].clone();
    side.receive(Carrier::Invite, Some(VIDEO)).unwrap();
    side.describe(Carrier::Success, &media(10_000, Direction::SendRecv)).unwrap_err();
    side.failed(Carrier::Invite);
    assert_eq!(side.origin(), pair.0[0].origin());
    pair.send_with(0, Carrier::Invite, Direction::SendOnly);
    assert_eq!(version(&pair), 2);
    // It is refused, and the next one differs from it.
    assert!(!pair.0.iter_mut().any(|side| side.failed(Carrier::Invite)));
    pair.send(0, Carrier::Invite);
    pair.send(1, Carrier::Success);
    assert_eq!(version(&pair), 3);
    pair.assert_agreed();
}

#[test]
fn a_wrong_version_is_told_and_the_content_taken() {
    let offer = |session: u64, version: u64, port: u16| {
        format!(
            "v=0\r\no=- {session} {version} IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
        )
    };
    let mut side = Negotiation::new(1);
    for (session, version, port, is_wrong) in [
        (5, 7, 4000, false),
        (5, 7, 4000, false),
        (5, 8, 4002, false),
        (5, 9, 4002, false),
        (5, 9, 4004, true),
        (5, 8, 4006, true),
        (5, 12, 4008, true),
        (6, 13, 4010, true),
        (6, 14, 4012, false),
    ] {
        side.receive(Carrier::Invite, Some(offer(session, version, port).as_bytes())).unwrap();
        let described = side.describe(Carrier::Success, &media(20_000, Direction::SendRecv)).unwrap();
        assert_eq!(described.version_is_wrong, is_wrong, "{session} {version} {port}");
        assert_eq!(side.audio().unwrap().remote.port(), port, "the content counts");
    }
    side.describe(Carrier::Invite, &media(20_000, Direction::SendRecv)).unwrap();
    let received = side.receive(Carrier::Success, Some(offer(6, 20, 4014).as_bytes())).unwrap();
    assert!(received.version_is_wrong);
    assert_eq!(side.audio().unwrap().remote.port(), 4014);
}

#[test]
fn hold_is_read_from_what_is_agreed() {
    let mut pair = Pair::established();
    assert!(!pair.0.iter().any(|side| side.we_hold() || side.peer_holds()));
    pair.send_with(0, Carrier::Invite, Direction::SendOnly);
    assert!(!pair.0[0].we_hold(), "not before it is agreed to");
    pair.send(1, Carrier::Success);
    assert!(pair.0[0].we_hold() && !pair.0[0].peer_holds() && pair.0[1].peer_holds() && !pair.0[1].we_hold());
    // Both hold each other: nothing flows, and each knows that it holds.
    pair.send_with(1, Carrier::Invite, Direction::SendOnly);
    pair.send_with(0, Carrier::Success, Direction::SendOnly);
    assert!(pair.0[0].we_hold() && pair.0[1].we_hold());
    assert_eq!(pair.0[0].audio().unwrap().direction, Direction::Inactive);
    let off = b"v=0\r\no=- 200 9 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 0 RTP/AVP 0\r\n";
    pair.0[0].receive(Carrier::Invite, Some(off)).unwrap();
    pair.0[0].describe(Carrier::Success, &media(10_000, Direction::SendRecv)).unwrap();
    assert!(pair.0[0].peer_holds() && pair.0[0].audio().is_none(), "all streams are off");
}

#[test]
fn a_foreign_description_is_offered_as_it_is() {
    let mut side = Negotiation::new(1);
    side.offer_foreign(Carrier::Invite, Bytes::from_static(OTHER)).unwrap();
    assert_eq!((side.origin().session_id, side.origin().version), (5, 1));
    let again = side.offer_foreign(Carrier::Invite, Bytes::from_static(OTHER));
    assert_eq!(again, Err(OfferAnswerError::RequestPending));
    side.receive(Carrier::Success, Some(OTHER)).unwrap();
    assert_eq!(side.agreed().unwrap().local, OTHER);
}

/// One thing that may happen: a side says something, or a request fails.
#[derive(Clone, Copy, Debug)]
enum Event {
    Describe(Carrier, bool),
    Receive(Carrier, Option<&'static [u8]>),
    Fail(Carrier),
}

fn event() -> impl Strategy<Value = Event> {
    let carrier = || prop::sample::select(Carrier::ALL);
    let body = prop::sample::select(vec![None, Some(OTHER), Some(VIDEO), Some(&b"v=0"[..])]);
    prop_oneof![
        3 => (carrier(), any::<bool>()).prop_map(|(carrier, holds)| Event::Describe(carrier, holds)),
        3 => (carrier(), body).prop_map(|(carrier, body)| Event::Receive(carrier, body)),
        1 => carrier().prop_map(Event::Fail),
    ]
}

proptest! {
    /// After any sequence there is a way back to stable, and it leads to the last agreement.
    #[test]
    fn every_state_has_a_way_back_to_the_last_agreement(events in prop::collection::vec(event(), 0..40)) {
        let mut side = Negotiation::new(9);
        for event in events {
            let before = side.clone();
            let is_agreement = match event {
                Event::Describe(carrier, holds) => {
                    let direction = if holds { Direction::SendOnly } else { Direction::SendRecv };
                    let described = side.describe(carrier, &media(10_000, direction));
                    if described.is_err() {
                        prop_assert_eq!(&side, &before, "a description that is not sent changes nothing");
                    } else {
                        prop_assert!(side.origin().version - before.origin().version <= 1);
                    }
                    described.is_ok_and(|described| described.part == Part::Answer)
                }
                Event::Receive(carrier, body) => {
                    let received = side.receive(carrier, body);
                    received.is_ok_and(|received| received.part == Some(Part::Answer))
                }
                Event::Fail(carrier) => {
                    side.failed(carrier);
                    false
                }
            };
            if !is_agreement {
                prop_assert_eq!(&side.agreed, &before.agreed, "nothing but an answer makes an agreement: {:?}", event);
            }
            prop_assert_eq!(&from_bytes::<Negotiation>(&to_bytes(&side)).unwrap(), &side);
            let mut back = side.clone();
            for request in [Carrier::Update, Carrier::Ack, Carrier::Prack, Carrier::Invite] {
                back.failed(request);
            }
            prop_assert_eq!(back.position(), Position::Idle);
            prop_assert_eq!(&back.agreed, &side.agreed);
            prop_assert_eq!(back.part_of(Side::Us, Carrier::Invite), Ok(Part::Offer));
        }
    }
}
