//! What is left of an exchange that fails: the last agreement, after whatever sequence.

use super::*;
use crate::wire::sdp::SdpError;
use proptest::prelude::*;

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
