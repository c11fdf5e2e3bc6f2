//! The calls that there are. An entry is created by the first event of a call and removed by the last.

use super::call::{CallEnding, CallMedia, Parties, Record, SessionId, Standing};
use ringworld_components::call::{EndCause, SessionState};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// Ended outgoing calls that their task has not claimed yet.
const UNCLAIMED_MAX: usize = 1024;

/// Events that wait for the handler of one call; further ones are dropped and counted.
pub(super) const NEWS_MAX: usize = 64;

/// Something that a handler is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    Changed(SessionState, SessionState),
    Answered,
    MediaEstablished(CallMedia),
    Digit(char),
    Ended(CallEnding),
}

struct Entry {
    record: Arc<Record>,
    /// Whether the handler knows the call, or the task that placed it.
    claimed: bool,
    news: mpsc::Sender<News>,
    decision: Option<AbortHandle>,
}

/// All calls that have not ended.
#[derive(Default)]
pub(super) struct Calls(Mutex<BTreeMap<SessionId, Entry>>);

/// A call that was not known before, and where its events come out.
pub(super) struct Fresh {
    pub record: Arc<Record>,
    pub news: mpsc::Receiver<News>,
}

impl Calls {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<SessionId, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call came in.
    pub fn offered(&self, id: SessionId, parties: Parties) -> Option<Fresh> {
        let mut calls = self.lock();
        let fresh = insert(&mut calls, id);
        if let Some(entry) = calls.get_mut(&id) {
            entry.claimed = true;
            // Set once; a second value would belong to another call.
            let _ = entry.record.parties.set(parties);
        }
        fresh
    }

    /// The task that decides about a call, to be stopped when the call ends first.
    pub fn decided_by(&self, id: SessionId, decision: AbortHandle) {
        match self.lock().get_mut(&id) {
            Some(entry) => entry.decision = Some(decision),
            None => decision.abort(),
        }
    }

    /// The task that placed a call now knows its name. The call may have ended meanwhile.
    pub fn claim(&self, id: SessionId, parties: Parties) -> (Arc<Record>, Option<Fresh>) {
        let mut calls = self.lock();
        let fresh = insert(&mut calls, id);
        let Some(entry) = calls.get_mut(&id) else { return (Arc::new(Record::new(id)), None) };
        entry.claimed = true;
        let _ = entry.record.parties.set(parties);
        let record = entry.record.clone();
        let is_over = record.standing.borrow().ending.is_some();
        if is_over {
            calls.remove(&id);
        }
        (record, fresh)
    }

    /// A call changed its state. Returns how many events were dropped.
    pub fn changed(&self, id: SessionId, from: SessionState, to: SessionState) -> (Option<Fresh>, u64) {
        let mut calls = self.lock();
        let fresh = insert(&mut calls, id);
        let Some(entry) = calls.get(&id) else { return (fresh, 0) };
        entry.record.standing.send_modify(|now| now.state = to);
        (fresh, tell(entry, News::Changed(from, to)))
    }

    /// Something happened in a call that changes neither its state nor its end. Returns how many events were dropped.
    pub fn happened(&self, id: SessionId, news: News) -> u64 {
        self.lock().get(&id).map_or(0, |entry| tell(entry, news))
    }

    /// A call is over. Returns how many events were dropped.
    pub fn ended(&self, id: SessionId, ending: CallEnding) -> u64 {
        let mut calls = self.lock();
        let Some(entry) = calls.get_mut(&id) else { return 0 };
        if let Some(decision) = entry.decision.take() {
            decision.abort();
        }
        entry
            .record
            .standing
            .send_modify(|now| *now = Standing { state: SessionState::Terminated, ending: Some(ending) });
        let lost = tell(entry, News::Ended(ending));
        if entry.claimed {
            calls.remove(&id);
        } else {
            // The placing task will claim it. One whose command was given up never does, so the oldest are removed.
            let over = |entry: &Entry| !entry.claimed && entry.record.standing.borrow().ending.is_some();
            if calls.values().filter(|entry| over(entry)).count() > UNCLAIMED_MAX
                && let Some(oldest) = calls.iter().find(|(_, entry)| over(entry)).map(|(id, _)| *id)
            {
                calls.remove(&oldest);
            }
        }
        lost
    }

    /// All calls that are not over.
    pub fn all(&self) -> Vec<Arc<Record>> {
        let calls = self.lock();
        let living = calls.values().filter(|entry| entry.record.standing.borrow().ending.is_none());
        living.map(|entry| entry.record.clone()).collect()
    }

    /// Ends all: the switch has stopped.
    pub fn end_all(&self) {
        for record in self.all() {
            self.ended(record.id, CallEnding { cause: EndCause::Drained, status: 0 });
        }
        self.lock().clear();
    }
}

fn insert(calls: &mut BTreeMap<SessionId, Entry>, id: SessionId) -> Option<Fresh> {
    if calls.contains_key(&id) {
        return None;
    }
    let (news, told) = mpsc::channel(NEWS_MAX);
    let record = Arc::new(Record::new(id));
    calls.insert(id, Entry { record: record.clone(), claimed: false, news, decision: None });
    Some(Fresh { record, news: told })
}

fn tell(entry: &Entry, news: News) -> u64 {
    u64::from(entry.news.try_send(news).is_err())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDING: CallEnding = CallEnding { cause: EndCause::HungUp, status: 0 };

    #[test]
    fn a_call_that_came_in_is_there_until_it_ends() {
        let calls = Calls::default();
        let mut fresh = calls.offered(SessionId(1), Parties::default()).unwrap();
        assert!(calls.changed(SessionId(1), SessionState::Initializing, SessionState::Connected).0.is_none());
        assert_eq!(calls.all().len(), 1);
        calls.happened(SessionId(1), News::Digit('7'));
        calls.ended(SessionId(1), ENDING);
        assert!(calls.all().is_empty() && calls.lock().is_empty());
        let news: Vec<News> = std::iter::from_fn(|| fresh.news.try_recv().ok()).collect();
        let changed = News::Changed(SessionState::Initializing, SessionState::Connected);
        assert_eq!(news, [changed, News::Digit('7'), News::Ended(ENDING)]);
    }

    #[test]
    fn a_placed_call_may_end_before_its_placer_knows_its_name() {
        let calls = Calls::default();
        assert!(calls.changed(SessionId(1), SessionState::Initializing, SessionState::Dialing).0.is_some());
        calls.ended(SessionId(1), ENDING);
        assert!(calls.all().is_empty(), "over is over");
        let (record, fresh) = calls.claim(SessionId(1), Parties::default());
        assert!(fresh.is_none() && record.standing.borrow().ending == Some(ENDING));
        assert!(calls.lock().is_empty());
    }

    #[test]
    fn calls_that_are_not_fetched_do_not_pile_up() {
        let calls = Calls::default();
        for id in 0..2 * UNCLAIMED_MAX as u64 {
            calls.changed(SessionId(id), SessionState::Initializing, SessionState::Dialing);
            calls.ended(SessionId(id), ENDING);
        }
        assert!(calls.lock().len() <= UNCLAIMED_MAX + 1);
    }

    #[test]
    fn news_that_are_not_read_are_dropped_and_counted() {
        let calls = Calls::default();
        let _fresh = calls.offered(SessionId(1), Parties::default());
        let lost: u64 = (0..NEWS_MAX + 3).map(|_| calls.happened(SessionId(1), News::Digit('1'))).sum();
        assert_eq!(lost, 3);
    }
}
