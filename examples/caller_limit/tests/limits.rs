//! The third call at a time is refused. A call that has ended no longer counts, whichever side ended it.

use caller_limit::CallerLimitPlugin;
use ringworld::prelude::*;
use ringworld::testkit::Testkit;

#[test]
fn the_third_call_of_one_caller_is_refused_and_another_caller_is_not() {
    let kit = Testkit::with(|plugins| {
        plugins.add(CallerLimitPlugin { calls_max: 2 });
    });
    let (alice, bob) = (kit.phone("alice"), kit.phone("bob"));
    let first = alice.calls("echo").await_answer().session();
    alice.calls("echo").await_answer();
    alice.calls("echo").await_status(486);
    bob.calls("echo").await_answer();

    kit.restart();
    alice.line(1).hangs_up().await_end();
    alice.calls("echo").await_answer();
    kit.issue(Operation::hang_up(first)).expect("it is there");
    alice.line(0).await_end();
    alice.calls("echo").await_answer();
    alice.calls("echo").await_status(486);

    alice.line(3).hangs_up();
    alice.line(4).hangs_up();
    bob.hangs_up();
    kit.replays().assert_nothing_left();
}
