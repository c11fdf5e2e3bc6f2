//! The behaviour of an agent, drawn once from the seed and its number.

use super::voice::{SLOTS, Voice};
use crate::sim::fault::{Fault, Kind, Misdeed};
use crate::sim::{Dice, MS, Purpose, SECOND};
use crate::ua::sdp::Layout;
use crate::ua::{Codec, G711};

/// The most agents that send audio: each needs a number of its own.
pub(crate) const SPEAKERS_MAX: u32 = 256;
/// Speakers of a room.
const ROOM: u32 = 5;

/// An agent's settings.
#[derive(Clone, Debug)]
pub(crate) struct Habits {
    /// Whether it uses TCP.
    pub over_tcp: bool,
    /// Its voice, if it has one.
    pub voice: Option<Voice>,
    /// The codec that it prefers.
    pub codec: Codec,
    /// The name of its room.
    pub room: String,
    /// The mean pause between two calls.
    pub rest: u64,
    /// The mean length of a call.
    pub stay: u64,
    /// How it answers calls: after how long, and with which status (0: never).
    pub answers: Vec<(u64, u16)>,
    /// How it misbehaves, and from when on.
    pub misdeed: Option<(Misdeed, u64)>,
    /// When it stops sending audio.
    pub silent_from: u64,
}

impl Habits {
    /// Of agent `number` among `agents`.
    pub fn draw(seed: u64, number: u32, agents: u32, faults: &[Fault]) -> Self {
        let dice = &mut Dice::new(seed, Purpose::Habits, number);
        // Few agents all have audio; of many, one in ten.
        let every = if agents < 100 { 2 } else { 10 }.max(agents.div_ceil(SPEAKERS_MAX));
        let speaker = number / every;
        let voice = number.is_multiple_of(every).then_some(Voice { slot: speaker % SLOTS, id: speaker as u8 });
        let own = |kind: fn(Kind) -> bool| faults.iter().find(|it| it.agent == Some(number) && kind(it.kind));
        let since = |kind: fn(Kind) -> bool| own(kind).map_or(u64::MAX, |fault| fault.from);
        let misdeed = own(|kind| matches!(kind, Kind::Misbehave(_))).and_then(|fault| match fault.kind {
            Kind::Misbehave(misdeed) => Some((misdeed, fault.from)),
            _ => None,
        });
        let answers = (0..8)
            .map(|_| {
                let status = dice.pick(&[(200u16, 14), (486, 2), (603, 1), (302, 1), (0, 1)]);
                (dice.pick(&[(0, 2), (dice.clone().below(4 * SECOND), 3)]), status)
            })
            .collect();
        Self {
            over_tcp: dice.happens(200),
            voice,
            codec: dice.pick(&[(Codec::G711(G711::Pcmu), 2), (Codec::G711(G711::Pcma), 2), (Codec::L16, 1)]),
            room: format!("conf-r{}", speaker / ROOM),
            rest: dice.within(SECOND..=8 * SECOND),
            stay: dice.within(2 * SECOND..=15 * SECOND),
            answers,
            misdeed,
            silent_from: since(|kind| kind == Kind::Silence),
        }
    }

    /// Whether it misbehaves in this way at this time.
    pub fn does(&self, misdeed: Misdeed, now: u64) -> bool {
        self.misdeed.is_some_and(|(own, from)| own == misdeed && now >= from)
    }
}

/// Something to do in a call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Act {
    /// re-INVITE with this direction.
    Reinvite(&'static str),
    /// re-INVITE with another description of the same audio.
    Reshape(Shape),
    /// Press a key.
    Press(u8),
    /// A request that changes nothing: OPTIONS, or an INFO, which may hold a key that is pressed.
    Ask(&'static str),
    /// End it, in whatever state.
    HangUp,
}

/// What else a re-INVITE changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Shape {
    /// A line of another medium is added.
    pub adds_line: bool,
    /// The first of the dynamic payload types, see [`Layout`].
    pub types_from: Option<u8>,
    /// Audio is received at another port.
    pub moves: bool,
}

/// The dynamic payload types: of three each, so that none ever stands for two formats (RFC 3264 section 8.3.2).
const TYPES_FROM: [u8; 4] = [96, 100, 104, 110];

/// How the descriptions of a call are written, from its first offer on.
pub(crate) fn draw_layout(dice: &mut Dice, offers: bool) -> Layout {
    let lines = dice.pick(&[((0, 0), 6), ((1, 0), 1), ((0, 1), 1), ((1, 2), 1)]);
    let types_from = dice.pick(&[(0, 3), (TYPES_FROM[0], 1)]);
    // Lines are made by an offer.
    let (before, after) = if offers { lines } else { (0, 0) };
    Layout { before, after, types_from }
}

/// Adds a re-INVITE that changes more than the direction. What is under way at that moment is lost with the old types,
/// so an agent that sends audio keeps them.
pub(crate) fn plan_shape(habits: &Habits, dice: &mut Dice, now: u64, acts: &mut Vec<(u64, Act)>) {
    let shape = Shape {
        adds_line: dice.happens(500),
        types_from: Some(dice.pick(&TYPES_FROM.map(|from| (from, 1)))).filter(|_| habits.voice.is_none()),
        moves: dice.happens(500),
    };
    let ends = acts.iter().map(|(at, _)| *at).max().unwrap_or(now);
    let at = now + 200 * MS + dice.below((ends - now).max(1));
    if dice.happens(200) && at < ends {
        acts.push((at, Act::Reshape(shape)));
        acts.sort();
    }
}

/// The user that an agent calls next.
pub(crate) fn choose_user(habits: &Habits, dice: &mut Dice) -> String {
    let ring = format!("ring-{}", dice.within(1..=6));
    let tone = format!("tone-{}", 300 + 10 * dice.below(200));
    let room = habits.room.clone();
    let refused = format!("reject-{}", dice.pick(&[(404u64, 1), (480, 1), (486, 1), (503, 1), (603, 1), (600, 1)]));
    let of_rooms = if habits.voice.is_some() { 12 } else { 2 };
    dice.pick(&[
        ("echo".to_owned(), 6),
        (room, of_rooms),
        (tone, 1),
        ("silence".to_owned(), 1),
        (ring, 3),
        ("busy".to_owned(), 1),
        (refused, 1),
        ("unnamed-callee".to_owned(), 1),
    ])
}

/// Content type and body of an INFO about a key, which the time chooses.
pub(crate) fn key_by_info(now: u64) -> (&'static str, String) {
    let number = now / MS;
    let digit = char::from(b"0123456789*#ABCD"[(number % 16) as usize]);
    match number / 16 % 2 {
        0 => ("application/dtmf-relay", format!("Signal={digit}\r\nDuration=160\r\n")),
        _ => ("application/dtmf", digit.to_string()),
    }
}

/// What to do in a call that was just answered, and when, in order.
pub(crate) fn plan_acts(habits: &Habits, dice: &mut Dice, now: u64) -> Vec<(u64, Act)> {
    let ends = now + habits.stay / 2 + dice.below(habits.stay);
    let mut acts = vec![(ends, Act::HangUp)];
    let at = |dice: &mut Dice| now + 200 * MS + dice.below(ends - now);
    if dice.happens(350) {
        let holds = at(dice);
        let direction = dice.pick(&[("sendonly", 3), ("inactive", 1)]);
        acts.push((holds, Act::Reinvite(direction)));
        if dice.happens(800) {
            acts.push((holds + 300 * MS + dice.below(4 * SECOND), Act::Reinvite("sendrecv")));
        }
    }
    if dice.happens(150) {
        acts.push((at(dice), Act::Reinvite("sendrecv")));
    }
    if dice.happens(200) {
        let method = dice.pick(&[("OPTIONS", 1), ("INFO", 1)]);
        acts.push((at(dice), Act::Ask(method)));
    }
    if habits.voice.is_some() && dice.happens(600) {
        let mut pressed = at(dice);
        for _ in 0..dice.within(1..=4) {
            acts.push((pressed, Act::Press(dice.below(16) as u8)));
            pressed += 240 * MS;
        }
    }
    acts.retain(|(at, _)| *at <= ends);
    acts.sort();
    acts
}
