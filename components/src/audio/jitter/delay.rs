//! How long packets should wait.

use super::{FRAME, JitterLimits};
use crate::record::Record;

/// Frames over which the leads are watched before the delay is brought down: 4 s to begin with ...
const WINDOW_FRAMES_MIN: u32 = 200;

/// ... and twice as long after each packet that came too late, up to 32 s, so that a rare spike doesn't make the delay
/// oscillate.
const WINDOW_FRAMES_MAX: u32 = 1600;

/// The adaptation. A packet's *lead* is how many samples before its first sample the playhead stands when it arrives;
/// negative, it is late.
#[derive(Record, Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Delay {
    min: i32,
    max: i32,
    /// The lead that the first packet of a talkspurt is given.
    target: i32,
    /// The range of leads in this window: none yet if `least > most`.
    least: i32,
    most: i32,
    frames: u32,
    window_frames: u32,
}

/// The least number of whole frames that hold `samples`.
pub(super) fn whole_frames(samples: i32) -> i32 {
    samples.saturating_add(FRAME - 1) / FRAME * FRAME
}

impl Delay {
    pub(super) fn new(limits: JitterLimits) -> Self {
        let samples = |ms: u16| whole_frames(i32::from(ms.min(JitterLimits::MAX_MS)) * 8);
        let max = samples(limits.max_ms).max(FRAME);
        let min = samples(limits.min_ms).min(max);
        let target = samples(limits.start_ms).clamp(min, max);
        Self { min, max, target, least: i32::MAX, most: i32::MIN, frames: 0, window_frames: WINDOW_FRAMES_MIN }
    }

    /// What a talkspurt's first packet waits, in samples.
    pub(super) fn target(&self) -> u32 {
        self.target.max(0) as u32
    }

    /// What no packet waits longer than, in samples.
    pub(super) fn max(&self) -> i32 {
        self.max
    }

    /// Frames without a packet after which the sender counts as silent: no packet could be that late.
    pub(super) fn silent_after_frames(&self) -> u32 {
        (self.max / FRAME).max(10) as u32
    }

    /// Notes the lead of a packet.
    pub(super) fn observe(&mut self, lead: i32) {
        self.least = self.least.min(lead);
        self.most = self.most.max(lead);
    }

    /// Forgets the leads seen, as when the playhead is set anew.
    pub(super) fn restart_window(&mut self) {
        (self.least, self.most, self.frames) = (i32::MAX, i32::MIN, 0);
    }

    /// Decides on a packet that is `late` samples late: by how much the playhead goes back so that such a packet is in
    /// time, or `None` if that is more than the limit allows. `newest_lead` is that of the last packet held.
    pub(super) fn raise(&mut self, late: i32, newest_lead: Option<i32>) -> Option<i32> {
        let back = whole_frames(late);
        let most = newest_lead.unwrap_or(0).max(self.most).max(0);
        if most.saturating_add(back) > self.max {
            return None;
        }
        if self.least <= self.most {
            (self.least, self.most) = (self.least + back, self.most + back);
        }
        self.observe(back - late);
        self.target = self.target.max(self.spread());
        // What went before belongs to the delay that proved too short; a slow drift would otherwise pile up here.
        self.restart_window();
        self.observe(back - late);
        self.window_frames = (self.window_frames * 2).min(WINDOW_FRAMES_MAX);
        Some(back)
    }

    /// One frame was played. At the end of a window: by how many samples the playhead skips forward, because all
    /// packets came that much earlier than needed.
    pub(super) fn step(&mut self) -> i32 {
        self.frames += 1;
        if self.frames < self.window_frames {
            return 0;
        }
        let mut cut = 0;
        if self.least <= self.most {
            self.target = self.spread().max(self.target - FRAME);
            let spare = self.least - self.min;
            cut = if spare >= FRAME && !crate::planted!(DelayCreeps) {
                (spare / 2 / FRAME * FRAME).max(FRAME)
            } else {
                0
            };
        }
        self.restart_window();
        cut
    }

    /// The delay between the earliest and the latest packet of this window, within the limits.
    fn spread(&self) -> i32 {
        whole_frames(self.most.saturating_sub(self.least)).clamp(self.min, self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_whole_frames_in_a_sane_order() {
        let delay = Delay::new(JitterLimits { min_ms: 500, start_ms: 1, max_ms: 50 });
        assert_eq!((delay.min, delay.target(), delay.max()), (480, 480, 480));
        let delay = Delay::new(JitterLimits { min_ms: 0, start_ms: 0, max_ms: u16::MAX });
        assert_eq!((delay.min, delay.target(), delay.max()), (0, 0, 3200));
    }

    #[test]
    fn a_calm_window_brings_the_delay_down_by_half_of_what_is_spare() {
        let mut delay = Delay::new(JitterLimits::default());
        let mut window = |lead: i32| {
            delay.observe(lead);
            std::iter::repeat_with(|| delay.step()).take(WINDOW_FRAMES_MIN as usize).sum::<i32>()
        };
        assert_eq!(window(1600), 640);
        assert_eq!(window(480), 160);
        assert_eq!(window(320), 160);
        assert_eq!(window(160), 0);
        assert_eq!(window(319), 0);
    }

    #[test]
    fn the_target_follows_the_jitter_and_not_the_drift() {
        let mut delay = Delay::new(JitterLimits::default());
        for _ in 0..20 {
            delay.observe(0);
            assert_eq!(delay.raise(1, None), Some(160));
            (0..WINDOW_FRAMES_MAX).for_each(|_| assert_eq!(delay.step(), 0));
        }
        assert!(delay.target() <= 320, "{}", delay.target());
        delay.observe(160);
        assert_eq!(delay.raise(700, None), Some(800));
        assert_eq!(delay.target(), 960);
        delay.observe(800);
        assert_eq!(delay.raise(900, None), None);
    }
}
