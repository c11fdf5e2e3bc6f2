//! What goes wrong in a run: a list of faults, drawn from the seed, each of which can be left out by its number.

use super::{Dice, MS, Purpose, SECOND, TICK};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How much goes wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing.
    None,
    /// The faults of normal operation.
    #[default]
    Light,
    /// Everything at once.
    Heavy,
}

/// The kinds of faults. The first group strikes one agent or the way to it, the second the switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Everything takes longer.
    Delay,
    /// Each packet takes its own time.
    Jitter,
    /// Packets are lost.
    Loss,
    /// Packets overtake others.
    Reorder,
    /// Packets arrive twice.
    Duplicate,
    /// Bytes of packets change on the way.
    Corrupt,
    /// Nothing comes from the agent.
    CutFromAgent,
    /// Nothing reaches the agent.
    CutToAgent,
    /// Both.
    Partition,
    /// The NAT before the agent forgets its bindings and makes others.
    Rebind,
    /// The agent's TCP connection is reset.
    Reset,
    /// The agent stops sending audio.
    Silence,
    /// The agent disappears without a BYE.
    Vanish,
    /// The agent breaks a rule of the RFCs.
    Misbehave(Misdeed),
    /// Ticks come late, several at once.
    LateTicks,
    /// Ticks are given up.
    SkippedTicks,
    /// There are only a few RTP ports.
    FewPorts,
    /// The pool of packet buffers is small.
    SmallPool,
    /// The rings between network and world are short.
    ShortRings,
    /// The limit of sessions is low.
    FewSessions,
    /// The limit of transactions is low.
    FewTransactions,
    /// The limits of rooms and their participants are low.
    FewRooms,
    /// The limit of dialogs is low.
    FewDialogs,
    /// The operator shuts the switch down.
    Drain,
    /// The world is encoded, dropped and restored.
    Restore,
    /// The process is killed, and started again after a while, from its state folder.
    Kill(Death),
    /// The disk takes nothing.
    FullDisk,
}

/// At which moment a kill stops the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Death {
    /// Before what a tick took in is written down.
    Unwritten,
    /// In the middle of writing that down.
    InEntry,
    /// When it is written down, and nothing of the tick has left.
    Unsent,
    /// When a part of it has left.
    HalfSent,
    /// Between two ticks.
    BetweenTicks,
    /// Where one journal ends and the next one begins.
    BetweenJournals,
    /// While a snapshot is written.
    InSnapshot,
    /// When a snapshot gets its name.
    InNaming,
    /// While older files are removed.
    InRemoving,
    /// Between two ticks; and the end of the journal is damaged.
    TornTail,
    /// Between two ticks; and the last snapshot is damaged.
    BadSnapshot,
}

impl Death {
    /// All of them, with how often one is drawn.
    pub const ALL: [(Death, u64); 11] = [
        (Self::Unwritten, 3),
        (Self::InEntry, 3),
        (Self::Unsent, 3),
        (Self::HalfSent, 3),
        (Self::BetweenTicks, 2),
        (Self::BetweenJournals, 2),
        (Self::InSnapshot, 2),
        (Self::InNaming, 1),
        (Self::InRemoving, 2),
        (Self::TornTail, 1),
        (Self::BadSnapshot, 2),
    ];
}

/// How an agent breaks the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Misdeed {
    /// It never acknowledges a 2xx (RFC 3261 section 13.2.2.4).
    SkipsAck,
    /// Its BYE has the CSeq number of its INVITE (section 12.2.1.1).
    StaleCseq,
    /// Its BYE has a tag that it never chose (section 12.2.1.1).
    WrongTag,
    /// Its INVITE has no Contact (section 8.1.1.8).
    NoContact,
    /// Its requests say that they are longer than they are (section 18.3).
    WrongLength,
    /// Its requests have no Max-Forwards (section 8.1.1.6).
    NoMaxForwards,
    /// It requires an extension that does not exist (section 8.1.1.9; legal, and to be refused).
    UnknownExtension,
    /// Its offer is no session description (RFC 3264 section 5).
    BrokenOffer,
    /// Its INVITE comes by two paths (section 8.2.2.2; legal, and to be refused).
    Merged,
    /// It uses a method that does not exist (section 8.2.1).
    UnknownMethod,
    /// It sends every INVITE ten times at once.
    Floods,
    /// It cancels calls that are answered (section 9.1).
    LateCancel,
    /// It refuses a call after it answered it (section 17.2.1).
    TwoFinals,
    /// Its final responses have a tag of their own (section 12.1.1: the fork of a request that was not forked).
    NewTag,
    /// Its responses have no tag (section 8.2.6.2).
    NoTag,
    /// It sends what is no RTP, or RTP that was not agreed on (RFC 3550, RFC 3264 section 5.1).
    WildRtp,
}

impl Misdeed {
    /// All of them.
    pub const ALL: [Misdeed; 16] = [
        Self::SkipsAck,
        Self::StaleCseq,
        Self::WrongTag,
        Self::NoContact,
        Self::WrongLength,
        Self::NoMaxForwards,
        Self::UnknownExtension,
        Self::BrokenOffer,
        Self::Merged,
        Self::UnknownMethod,
        Self::Floods,
        Self::LateCancel,
        Self::TwoFinals,
        Self::NewTag,
        Self::NoTag,
        Self::WildRtp,
    ];
}

/// A kill waits so long for its moment at most.
pub(super) const DYING_MAX: u64 = 8 * SECOND;

/// The kinds that strike an agent, with how often one is drawn.
const OF_AGENTS: [(Kind, u64); 13] = [
    (Kind::Delay, 3),
    (Kind::Jitter, 4),
    (Kind::Loss, 6),
    (Kind::Reorder, 3),
    (Kind::Duplicate, 3),
    (Kind::Corrupt, 1),
    (Kind::CutFromAgent, 2),
    (Kind::CutToAgent, 2),
    (Kind::Partition, 2),
    (Kind::Rebind, 2),
    (Kind::Reset, 2),
    (Kind::Silence, 1),
    (Kind::Vanish, 1),
];

/// The kinds that strike the switch.
const OF_THE_SWITCH: [(Kind, u64); 11] = [
    (Kind::LateTicks, 4),
    (Kind::SkippedTicks, 3),
    (Kind::FewPorts, 2),
    (Kind::SmallPool, 2),
    (Kind::ShortRings, 1),
    (Kind::FewSessions, 2),
    (Kind::FewTransactions, 1),
    (Kind::FewRooms, 2),
    (Kind::FewDialogs, 1),
    (Kind::Drain, 1),
    (Kind::Restore, 6),
];

/// One fault. Times are nanoseconds since the run began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its name: `--without` leaves it out.
    pub number: u32,
    /// What it is.
    pub kind: Kind,
    /// The agent that it strikes, if not the switch.
    pub agent: Option<u32>,
    /// When it begins; what happens once happens then.
    pub from: u64,
    /// When it is over.
    pub to: u64,
    /// How bad it is: of a kind's worst, so many thousandths.
    pub strength: u64,
}

impl Fault {
    /// Whether it is active.
    pub fn is_on(&self, now: u64) -> bool {
        (self.from..self.to).contains(&now)
    }

    /// By how much it makes audio late at most, in nanoseconds.
    pub(super) fn lag(&self) -> u64 {
        match self.kind {
            Kind::Delay => self.part_of(150 * MS),
            Kind::Jitter => self.part_of(80 * MS),
            Kind::Reorder => 60 * MS,
            Kind::Duplicate => 30 * MS,
            Kind::LateTicks => (1 + self.part_of(8)) * TICK,
            Kind::SkippedTicks => (8 + self.part_of(50)) * TICK,
            _ => 0,
        }
    }

    /// How long the switch is down after it was killed, in nanoseconds: short enough for retransmissions to outlast it.
    pub(super) fn downtime(&self) -> u64 {
        self.part_of(6 * SECOND).max(TICK)
    }

    /// A part of `worst`, by its strength.
    pub fn part_of(&self, worst: u64) -> u64 {
        worst * self.strength / 1000
    }
}

/// All faults of a run that lasts `length`, for `agents` agents.
pub fn draw(seed: u64, level: Level, agents: u32, length: u64) -> Vec<Fault> {
    let dice = &mut Dice::new(seed, Purpose::Faults, 0);
    let (of_agents, of_switch, worst) = match level {
        Level::None => (0, 0, 0),
        Level::Light => (agents / 5 + 1, 3, 300),
        Level::Heavy => (agents * 3 / 2 + 1, 7, 1000),
    };
    let mut faults = Vec::new();
    for number in 0..of_agents + of_switch {
        let agent = (number < of_agents).then(|| dice.below(u64::from(agents)) as u32);
        let misbehaves = Kind::Misbehave(Misdeed::ALL[dice.below(Misdeed::ALL.len() as u64) as usize]);
        let kind = match agent {
            Some(_) if dice.happens(180) => misbehaves,
            Some(_) => dice.pick(&OF_AGENTS),
            None => dice.pick(&OF_THE_SWITCH),
        };
        let from = dice.below(length);
        let lasts = dice.within(SECOND / 2..=kind.lasts_at_most());
        let to = if kind.is_lasting() { u64::MAX } else { (from + lasts).min(length) };
        let strength = dice.within(worst / 10..=worst);
        faults.push(Fault { number, kind, agent, from: if kind.is_given() { 0 } else { from }, to, strength });
    }
    faults.extend(draw_kills(seed, level, of_agents + of_switch, length));
    faults
}

/// The kills of a run, and the faults of its disk. They have dice of their own, so that the other faults stay the same.
fn draw_kills(seed: u64, level: Level, first: u32, length: u64) -> Vec<Fault> {
    let dice = &mut Dice::new(seed, Purpose::Kills, 0);
    let count = match level {
        Level::None => 0,
        Level::Light => dice.pick(&[(0, 2), (1, 1)]),
        Level::Heavy => dice.pick(&[(0, 2), (1, 3), (2, 2), (3, 1)]),
    };
    let kill = |number| {
        let kind = if dice.happens(100) { Kind::FullDisk } else { Kind::Kill(dice.pick(&Death::ALL)) };
        let from = dice.below(length);
        let strength = dice.within(10..=1000);
        let fault = Fault { number, kind, agent: None, from, to: from + 3 * SECOND * strength / 1000, strength };
        let is_kill = matches!(kind, Kind::Kill(_));
        Fault { to: if is_kill { from + DYING_MAX + fault.downtime() } else { fault.to }, ..fault }
    };
    (first..first + count).map(kill).collect()
}

impl Kind {
    /// Whether it is a matter of the world's configuration.
    fn is_given(self) -> bool {
        use Kind::{FewDialogs, FewPorts, FewRooms, FewSessions, FewTransactions, ShortRings, SmallPool};
        matches!(self, FewPorts | SmallPool | ShortRings | FewSessions | FewTransactions | FewRooms | FewDialogs)
    }

    /// Whether it has no end.
    fn is_lasting(self) -> bool {
        self.is_given() || matches!(self, Kind::Silence | Kind::Vanish | Kind::Misbehave(_))
    }

    /// A cut must be short enough for retransmissions to outlast it: no call may be lost by a transaction's end alone.
    fn lasts_at_most(self) -> u64 {
        match self {
            Kind::CutFromAgent | Kind::CutToAgent | Kind::Partition => 6 * SECOND,
            _ => 20 * SECOND,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Kind::Misbehave(misdeed) => format!("misbehave {misdeed:?}"),
            Kind::Kill(death) => format!("kill {death:?}"),
            kind => format!("{kind:?}"),
        };
        // "FewPorts" reads "few ports".
        let mut text = String::new();
        for letter in words.chars() {
            if letter.is_ascii_uppercase() && text.chars().last().is_some_and(|last| last.is_ascii_lowercase()) {
                text.push(' ');
            }
            text.push(letter.to_ascii_lowercase());
        }
        f.write_str(&text)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |at: u64| at as f64 / SECOND as f64;
        write!(f, "{} {}", self.number, self.kind)?;
        if let Some(agent) = self.agent {
            write!(f, " of agent {agent}")?;
        }
        if self.to != u64::MAX {
            write!(f, " from {:.1} to {:.1} s", seconds(self.from), seconds(self.to))
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_has_its_faults_and_none_has_none() {
        let length = 60 * SECOND;
        assert!(draw(1, Level::None, 20, length).is_empty());
        let (light, heavy) = (draw(1, Level::Light, 20, length), draw(1, Level::Heavy, 20, length));
        assert!(light.len() < heavy.len());
        let of_kills = |fault: &&Fault| matches!(fault.kind, Kind::Kill(_) | Kind::FullDisk);
        assert!(light.iter().filter(|fault| !of_kills(fault)).all(|fault| fault.strength <= 300));
        assert_eq!(heavy, draw(1, Level::Heavy, 20, length));
    }

    #[test]
    fn every_kind_is_drawn_by_some_seed() {
        let drawn: std::collections::BTreeSet<Kind> =
            (0..200).flat_map(|seed| draw(seed, Level::Heavy, 20, 60 * SECOND)).map(|fault| fault.kind).collect();
        let of_kills = Death::ALL.len() + 1;
        assert_eq!(drawn.len(), OF_AGENTS.len() + OF_THE_SWITCH.len() + Misdeed::ALL.len() + of_kills);
    }

    #[test]
    fn kinds_read_as_words() {
        assert_eq!(Kind::CutFromAgent.to_string(), "cut from agent");
        assert_eq!(Kind::Misbehave(Misdeed::NoMaxForwards).to_string(), "misbehave no max forwards");
    }
}
