//! Two sides of a dialog agree: previews, versions and holds.

mod failures;
mod table;

use super::*;
use crate::record::{from_bytes, to_bytes};
use crate::wire::sdp::{Codec, Direction};

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
