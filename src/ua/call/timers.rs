//! Timers: retransmissions, and the end of what is never answered.

use super::{Call, End, Happened};
use crate::ua::transaction::GIVE_UP;
use crate::ua::{Outbox, Transaction};

impl Call {
    /// When [`Call::on_time`] should be called next.
    pub fn due_at(&self) -> u64 {
        let inviting = self.inviting.iter().map(|it| &it.transaction);
        let unacknowledged = self.unacknowledged.iter().map(|it| &it.transaction);
        let open = inviting.chain(unacknowledged).chain(self.pending.iter().map(|it| &it.transaction));
        open.map(Transaction::due_at).min().unwrap_or(u64::MAX).min(self.leaves_at)
    }

    /// Retransmits what was not answered, and gives up what never will be.
    pub fn on_time(&mut self, now: u64, out: &mut Outbox) -> Happened {
        let mut happened = Happened::Nothing;
        if let Some(inviting) = &mut self.inviting {
            self.count.retransmissions_sent += u64::from(inviting.transaction.resend(now, out));
            if now >= inviting.transaction.give_up_at {
                happened = self.give_up_inviting(now, out);
            }
        }
        let (mut unanswered, mut leaves) = (false, false);
        self.pending.retain_mut(|it| {
            self.count.retransmissions_sent += u64::from(it.transaction.resend(now, out));
            let keeps = now < it.transaction.give_up_at;
            unanswered |= !keeps;
            leaves |= !keeps && it.method == "BYE";
            keeps
        });
        self.is_sure &= !unanswered;
        if leaves {
            happened = self.finish(now, End::ByeUnanswered);
        }
        if let Some(unacknowledged) = &mut self.unacknowledged {
            self.count.retransmissions_sent += u64::from(unacknowledged.transaction.resend(now, out));
            if now >= unacknowledged.transaction.give_up_at {
                self.give_up_waiting_for_ack(now, out);
            }
        }
        if now >= self.leaves_at {
            self.leaves_at = u64::MAX;
            self.hang_up(now, out);
        }
        happened
    }

    fn give_up_inviting(&mut self, now: u64, out: &mut Outbox) -> Happened {
        let Some(mut inviting) = self.inviting.take() else { return Happened::Nothing };
        if inviting.provisional && !inviting.cancel_wanted {
            inviting.cancel_wanted = true;
            inviting.transaction.give_up_at = now + GIVE_UP;
            self.inviting = Some(inviting);
            self.cancel_if_allowed(now, out);
            return Happened::Nothing;
        }
        self.is_sure = false;
        if inviting.direction.is_none() {
            return self.finish(now, End::NoAnswer { rang: self.rang });
        }
        // Section 14.1: a re-INVITE that times out ends the call.
        self.hang_up(now, out);
        Happened::Nothing
    }

    /// Timer H, and section 13.3.1.4: a call whose 2xx is never acknowledged is ended with BYE.
    fn give_up_waiting_for_ack(&mut self, now: u64, out: &mut Outbox) {
        if self.unacknowledged.take().is_some_and(|it| it.accepts) {
            self.is_sure = false;
            self.hang_up(now, out);
        }
    }
}
