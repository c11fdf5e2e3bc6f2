//! What a worker's callers heard: handed over when a group has been held, judged when there is time.

use std::sync::Arc;

use super::{DRAIN, Due, Worker};
use crate::load::group::Hearing;
use crate::load::plan::Hears;

/// Rooms of up to so many are judged between two milliseconds; larger ones take too long and wait for the end.
const JUDGED_AT_ONCE: usize = 32;

impl Worker {
    /// The group has been held: its members stop speaking, what they heard is put aside, and they leave.
    pub(super) fn listen(&mut self, now: u64, number: usize) {
        let Some(group) = self.groups.get(number) else { return };
        let (first, hears, pause) = (group.first, group.hears, self.pause());
        let here = |worker: &Worker, member: usize| {
            let caller = worker.callers.get(first + member).and_then(Option::as_deref);
            caller.is_some_and(|caller| caller.connected)
        };
        let present: Arc<[usize]> = (0..group.size).filter(|&member| here(self, member)).collect();
        let media = group.media && !self.plan.hold.is_zero();
        let drain = if media { DRAIN } else { 0 };
        for (n, &member) in present.iter().enumerate() {
            let index = first + member;
            self.agenda.add(now + drain + pause * n as u64, Due::Leave(index));
            let Some(caller) = self.callers.get_mut(index).and_then(Option::as_deref_mut) else { continue };
            let Some(media) = &mut caller.media else { continue };
            media.stop();
            let recorder = media.recorder.take();
            if let Some(recorder) = recorder.filter(|_| hears != Hears::Anything) {
                caller.listened = true;
                let present = Arc::clone(&present);
                self.hearings.push_back(Hearing { group: number, member, present, recorder });
            }
        }
    }

    /// Judges one caller of a small group, if any waits.
    pub(super) fn judge_one(&mut self) {
        let small = |hearing: &Hearing| hearing.present.len() <= JUDGED_AT_ONCE;
        if self.hearings.front().is_some_and(small) {
            self.judge_any();
        }
    }

    /// Judges one caller. False when none waits.
    pub(super) fn judge_any(&mut self) -> bool {
        let Some(hearing) = self.hearings.pop_front() else { return false };
        if let Some(group) = self.groups.get(hearing.group) {
            hearing.judge(group, &mut self.report);
        }
        true
    }

    /// Counts the packets of a call that has ended, and closes its socket.
    pub(super) fn close_stream(&mut self, index: usize) {
        let Some(caller) = self.callers.get_mut(index).and_then(Option::as_deref_mut) else { return };
        let Some(media) = caller.media.take() else { return };
        self.report.packets_lost += media.arrivals.lost();
        self.report.packets_duplicate += media.arrivals.duplicates;
        let Some(group) = self.groups.get(caller.group) else { return };
        if group.hears == Hears::Itself {
            self.report.echo_matched += media.matched;
            self.report.echo_not_returned += media.sent.saturating_sub(media.matched);
        }
        if !caller.listened {
            let why = caller.call.end.as_ref().map_or_else(|| "still in a call".into(), ToString::to_string);
            group.count_unheard(caller.member, &why, &mut self.report);
        }
    }

    /// Drops an ended call.
    pub(super) fn forget(&mut self, index: usize) {
        if let Some(caller) = self.callers.get_mut(index).and_then(Option::take) {
            self.signalling += caller.call.count;
        }
    }
}
