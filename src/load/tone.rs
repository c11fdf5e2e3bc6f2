//! Which frequency a caller sends, and how loud.

const LOWEST_HZ: usize = 400;
const HIGHEST_HZ: usize = 3_400;
/// Four of ten integers are odd and no multiple of five.
pub(crate) const FREQUENCIES: usize = (HIGHEST_HZ - LOWEST_HZ) / 10 * 4;

/// The `n`-th usable frequency in Hz, rising.
///
/// All of them are odd and no multiple of five, so no two packets within a second carry the same samples: an echoed
/// packet can be recognised by its content alone. All are whole numbers, so over exactly one second they are
/// orthogonal.
fn frequency(n: usize) -> u16 {
    let n = n % FREQUENCIES;
    (LOWEST_HZ + n / 4 * 10 + [1, 3, 7, 9][n % 4]) as u16
}

/// The frequency of one member of a group of `size` callers, in Hz.
///
/// Members of one group are spread evenly over 400-3400 Hz; the next group is shifted, so that a room that hears its
/// neighbour's members is found out too. `None` when the group is too large to be separable within a second.
pub(crate) fn frequency_of(group: usize, member: usize, size: usize) -> Option<u16> {
    let stride = FREQUENCIES.checked_div(size)?;
    if stride == 0 || member >= size {
        return None;
    }
    // 71 and 1200 have no common factor: consecutive groups use all shifts in turn.
    Some(frequency(member * stride + group * 71))
}

/// The amplitude with which each of `size` members may send so that their sum (practically) never clips.
///
/// Few tones can all peak at once; for many, the sum is nearly Gaussian and 4.5 standard deviations are enough.
pub(crate) fn amplitude_of(size: usize) -> i16 {
    let others = size.saturating_sub(1).max(1) as f64;
    let peak = others.min(4.5 * (others / 2.0).sqrt()).max(1.0);
    (28_000.0 / peak).min(8_000.0) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_a_group_never_share_a_frequency() {
        for size in [1, 2, 10, 32, 500, 1_000, FREQUENCIES] {
            for group in [0, 1, 2, 57] {
                let mut all: Vec<_> = (0..size).filter_map(|member| frequency_of(group, member, size)).collect();
                all.sort_unstable();
                all.dedup();
                assert_eq!(all.len(), size);
            }
        }
        assert_eq!(frequency_of(0, 0, FREQUENCIES + 1), None);
        assert_eq!(frequency_of(0, 0, 0), None);
    }

    #[test]
    fn neighbouring_rooms_of_ten_share_no_frequency() {
        let room = |group| (0..10).filter_map(move |member| frequency_of(group, member, 10));
        for group in 1..10 {
            assert!(room(group).all(|hz| room(0).all(|other| other != hz)), "{group}");
        }
    }
}
