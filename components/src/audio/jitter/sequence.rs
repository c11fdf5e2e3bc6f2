//! Which sequence numbers were seen.

use crate::record::Record;

/// Numbers up to this far ahead are a loss, not a jump (RFC 3550, appendix A.1, MAX_DROPOUT).
const AHEAD_MAX: u16 = 3000;

/// Numbers behind the highest that are remembered one by one.
const BEHIND_MAX: u16 = 128;

/// How a sequence number stands to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The highest so far, or the very first.
    Newer,
    /// Behind the highest, and not seen before.
    Older,
    /// Seen before.
    Seen,
    /// Far from the others, and the one before it was its neighbour.
    Moved,
    /// Far from the others; the next one may confirm it.
    Stray,
}

/// The last numbers seen.
#[derive(Record, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct SequenceWindow {
    /// The highest, once there is one.
    highest: Option<u16>,
    /// Bit n: `highest - n` was seen.
    seen: u128,
    /// The number that would confirm a jump.
    confirming: Option<u16>,
}

impl SequenceWindow {
    /// Judges and remembers a number. `trusting`: take a jump without confirmation, as after a pause.
    pub(super) fn judge(&mut self, sequence: u16, trusting: bool) -> Standing {
        let Some(highest) = self.highest else {
            self.restart(sequence);
            return Standing::Newer;
        };
        let ahead = sequence.wrapping_sub(highest);
        let behind = highest.wrapping_sub(sequence);
        if behind < BEHIND_MAX {
            let bit = 1u128 << behind;
            let seen = self.seen & bit != 0;
            self.seen |= bit;
            return if seen { Standing::Seen } else { Standing::Older };
        }
        if ahead <= AHEAD_MAX {
            self.seen = self.seen.checked_shl(u32::from(ahead)).unwrap_or(0) | 1;
            self.highest = Some(sequence);
            self.confirming = None;
            return Standing::Newer;
        }
        if trusting || self.confirming == Some(sequence) {
            self.restart(sequence);
            return Standing::Moved;
        }
        self.confirming = Some(sequence.wrapping_add(1));
        Standing::Stray
    }

    /// How many of the numbers between `from` and `to` were not seen (both exclusive; 0 if `to` is not after `from`).
    pub(super) fn unseen_between(&self, from: u16, to: u16) -> u16 {
        let gap = to.wrapping_sub(from).wrapping_sub(1);
        if gap == 0 || gap >= 0x8000 {
            return 0;
        }
        let seen = |behind: &u16| self.seen >> behind & 1 == 1;
        let between = |behind: &u16| {
            let number = self.highest.unwrap_or(to).wrapping_sub(*behind);
            (1..=gap).contains(&number.wrapping_sub(from))
        };
        gap - (0..BEHIND_MAX).filter(seen).filter(between).count() as u16
    }

    fn restart(&mut self, sequence: u16) {
        *self = Self { highest: Some(sequence), seen: 1, confirming: None };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Standing::*;

    #[test]
    fn numbers_are_told_apart_across_the_wrap() {
        let mut window = SequenceWindow::default();
        let standings: Vec<Standing> =
            [65534, 65535, 1, 0, 0, 65535, 2, 100, 50, 50].iter().map(|n| window.judge(*n, false)).collect();
        assert_eq!(standings, [Newer, Newer, Newer, Older, Seen, Seen, Newer, Newer, Older, Seen]);
    }

    #[test]
    fn numbers_that_never_came_are_counted() {
        let mut window = SequenceWindow::default();
        [65530, 65531, 65533, 0, 3].iter().for_each(|n| assert_eq!(window.judge(*n, false), Newer));
        assert_eq!(window.unseen_between(65531, 65533), 1);
        assert_eq!(window.unseen_between(65531, 3), 5);
        assert_eq!(window.unseen_between(65530, 65531), 0);
        assert_eq!(window.unseen_between(3, 65531), 0);
        (4..400).for_each(|n| assert_eq!(window.judge(n, false), Newer));
        assert_eq!(window.unseen_between(390, 399), 0);
    }

    #[test]
    fn a_jump_needs_two_in_a_row() {
        let mut window = SequenceWindow::default();
        let standings: Vec<Standing> =
            [10, 30_000, 11, 40_000, 12, 50_000, 50_001, 50_002].iter().map(|n| window.judge(*n, false)).collect();
        assert_eq!(standings, [Newer, Stray, Newer, Stray, Newer, Stray, Moved, Newer]);
        assert_eq!(window.judge(100, true), Moved);
    }
}
