//! From the world's events to the handler's methods: a thread that reads events, and a task for every call.

use super::call::{CallEnding, CallMedia, CallSession, IncomingCall, Parties};
use super::calls::{Fresh, News};
use super::handler::{AnyHandler, CallAction, OwnedFuture};
use super::manager::Inner;
use crossbeam::channel::{Receiver, RecvTimeoutError};
use ringworld_components::call::{CallErrorCause, EndCause};
use ringworld_components::edge::{Event, Operation};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How long a handler's method may take before it is given up. The decision has the world's own deadline.
const METHOD_PATIENCE: Duration = Duration::from_secs(30);

/// How often lost events are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Reads events until the switch or the manager is dropped.
pub(super) fn read_events(manager: &Weak<Inner>, events: &Receiver<Event>) {
    let mut swept = Instant::now();
    let mut lost = 0;
    loop {
        let event = events.recv_timeout(SWEEP_EVERY);
        let Some(inner) = manager.upgrade() else { return };
        match event {
            Ok(event) => take(&inner, event),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return inner.calls.end_all(),
        }
        if swept.elapsed() >= SWEEP_EVERY {
            swept = Instant::now();
            lost = sweep(&inner, lost);
        }
    }
}

fn take(inner: &Arc<Inner>, event: Event) {
    let lost = match event {
        Event::Incoming { session, from, to, call_id } => {
            if let Some(fresh) = inner.calls.offered(session, Parties { from, to, call_id }) {
                let call = follow(inner, fresh);
                decide(inner, call);
            }
            0
        }
        Event::StateChanged { session, from, to } => {
            let (fresh, lost) = inner.calls.changed(session, from, to);
            if let Some(fresh) = fresh {
                follow(inner, fresh);
            }
            lost
        }
        Event::Answered { session } => inner.calls.happened(session, News::Answered),
        Event::MediaEstablished { session, codec, remote } => {
            let media = CallMedia { codec: codec.label(), remote };
            inner.calls.happened(session, News::MediaEstablished(media))
        }
        Event::Digit { session, digit, .. } => inner.calls.happened(session, News::Digit(digit)),
        Event::Ended { session, cause, status } => inner.calls.ended(session, CallEnding { cause, status }),
    };
    inner.count_lost(lost);
}

/// Starts the task that tells the handler about a call.
pub(super) fn follow(inner: &Arc<Inner>, fresh: Fresh) -> CallSession {
    let call = CallSession { record: fresh.record, manager: Arc::downgrade(inner) };
    inner.runtime.spawn(tell(call.clone(), fresh.news));
    call
}

/// One method after the other, until the call is over.
async fn tell(call: CallSession, mut news: mpsc::Receiver<News>) {
    while let Some(news) = news.recv().await {
        let Some(handler) = call.manager.upgrade().map(|inner| inner.handler()) else { return };
        guard(&call, handler.tell(call.clone(), news)).await;
        if matches!(news, News::Ended(_)) {
            return;
        }
    }
}

/// Runs a method of the user's as a task of its own: its panic ends there, and it has an end.
async fn guard(call: &CallSession, method: OwnedFuture<()>) {
    let mut task = tokio::spawn(method);
    match tokio::time::timeout(METHOD_PATIENCE, &mut task).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(?call, %error, "a method of the call handler failed"),
        Err(_) => {
            task.abort();
            tracing::warn!(?call, "a method of the call handler was given up after {METHOD_PATIENCE:?}");
        }
    }
}

/// Asks the handler in a task that ends with the call at the latest.
fn decide(inner: &Arc<Inner>, call: CallSession) {
    let (handler, id) = (inner.handler(), call.id());
    let task = inner.runtime.spawn(ask(handler, IncomingCall { session: call }));
    inner.calls.decided_by(id, task.abort_handle());
}

async fn ask(handler: Arc<dyn AnyHandler>, call: IncomingCall) {
    let decided = match handler.decide(call.clone()).await {
        CallAction::Answer => call.answer().await,
        CallAction::Connect(service) => call.connect(&service).await,
        CallAction::Reject(reason) => call.reject(reason).await,
        CallAction::Defer => Ok(()),
    };
    if let Err(error) = decided {
        tracing::warn!(call = ?call.session, %error, "the decision about a call could not be carried out");
    }
}

/// If a world had to drop events because this thread was slow, the end of a call may be among them: asks for each call
/// whether it still exists. A request to send no digits changes nothing.
fn sweep(inner: &Arc<Inner>, known: u64) -> u64 {
    let Ok(switch) = inner.switch() else { return known };
    let lost = switch.status().iter().map(|world| world.events_lost).sum();
    if lost > known {
        inner.count_lost(lost - known);
        for record in inner.calls.all() {
            let question = Operation::SendDtmf { session: record.id, digits: String::new() };
            let answer = switch.command_session(record.id, question);
            if answer.is_err_and(|refusal| refusal.cause() == Some(&CallErrorCause::NoSuchSession)) {
                inner.calls.ended(record.id, CallEnding { cause: EndCause::DialogLost, status: 0 });
            }
        }
    }
    lost
}
