//! The table of RFC 6337 section 2, in both roles, and the six patterns that lead to an agreement.

use super::*;

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
