//! How long packets should wait.

use super::JitterLimits;
use crate::audio::RtpClock;
use crate::record::Record;

/// Frames over which the leads are watched before the delay is brought down: 4 s to begin with ...
const WINDOW_FRAMES_MIN: u32 = 200;

/// ... and twice as long after each packet that came too late, up to 32 s, so that a rare spike doesn't make the delay
/// oscillate.
const WINDOW_FRAMES_MAX: u32 = 1600;

/// The adaptation. A packet's *lead* is how long before its first unit the playhead stands when it arrives, in units of
/// the RTP clock; negative, it is late.
#[derive(Record, Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Delay {
    /// A frame.
    frame: i32,
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

impl Delay {
    pub(super) fn new(limits: JitterLimits, clock: RtpClock) -> Self {
        let frame = (clock.frame_units() as i32).max(1);
        let units = |ms: u16| whole_frames(clock.units(u32::from(ms.min(JitterLimits::MAX_MS))) as i32, frame);
        let max = units(limits.max_ms).max(frame);
        let min = units(limits.min_ms).min(max);
        let target = units(limits.start_ms).clamp(min, max);
        let (least, most) = (i32::MAX, i32::MIN);
        Self { frame, min, max, target, least, most, frames: 0, window_frames: WINDOW_FRAMES_MIN }
    }

    /// What a talkspurt's first packet waits.
    pub(super) fn target(&self) -> u32 {
        self.target.max(0) as u32
    }

    /// What no packet waits longer than.
    pub(super) fn max(&self) -> i32 {
        self.max
    }

    /// Frames without a packet after which the sender counts as silent: no packet could be that late.
    pub(super) fn silent_after_frames(&self) -> u32 {
        (self.max / self.frame.max(1)).max(10) as u32
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

    /// Decides on a packet that is late by `late`: by how much the playhead goes back so that such a packet is in
    /// time, or `None` if that is more than the limit allows. `newest_lead` is that of the last packet held.
    pub(super) fn raise(&mut self, late: i32, newest_lead: Option<i32>) -> Option<i32> {
        let back = whole_frames(late, self.frame);
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

    /// One frame was played. At the end of a window: by how much the playhead skips forward, because all
    /// packets came that much earlier than needed.
    pub(super) fn step(&mut self) -> i32 {
        self.frames += 1;
        if self.frames < self.window_frames {
            return 0;
        }
        let mut cut = 0;
        if self.least <= self.most {
            self.target = self.spread().max(self.target - self.frame);
            let spare = self.least - self.min;
            let frame = self.frame.max(1);
            cut = if spare >= frame && !crate::planted!(DelayCreeps) {
                (spare / 2 / frame * frame).max(frame)
            } else {
                0
            };
        }
        self.restart_window();
        cut
    }

    /// The delay between the earliest and the latest packet of this window, within the limits.
    fn spread(&self) -> i32 {
        whole_frames(self.most.saturating_sub(self.least), self.frame).clamp(self.min, self.max)
    }
}

/// The least number of whole frames that hold `units`.
fn whole_frames(units: i32, frame: i32) -> i32 {
    let frame = frame.max(1);
    units.saturating_add(frame - 1) / frame * frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_whole_frames_in_a_sane_order() {
        let of = |limits| Delay::new(limits, RtpClock::default());
        let delay = of(JitterLimits { min_ms: 500, start_ms: 1, max_ms: 50 });
        assert_eq!((delay.min, delay.target(), delay.max()), (480, 480, 480));
        let delay = of(JitterLimits { min_ms: 0, start_ms: 0, max_ms: u16::MAX });
        assert_eq!((delay.min, delay.target(), delay.max()), (0, 0, 3200));
        let delay = Delay::new(JitterLimits { min_ms: 21, start_ms: 0, max_ms: 100 }, RtpClock { rate_hz: 48_000 });
        assert_eq!((delay.min, delay.target(), delay.max()), (1920, 1920, 4800));
    }

    #[test]
    fn a_calm_window_brings_the_delay_down_by_half_of_what_is_spare() {
        let mut delay = Delay::new(JitterLimits::default(), RtpClock::default());
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
        let mut delay = Delay::new(JitterLimits::default(), RtpClock::default());
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
