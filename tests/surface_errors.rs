//! An error reaches the user of the simple interface with everything that is known about it.

use ringworld::api::simple::{CallErrorCause, CallState, Error, MediaStanding, SessionConfig, SessionManager};
use ringworld::load::{Answerer, Behaviour};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const PATIENCE: Duration = Duration::from_secs(10);

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

#[tokio::test]
async fn an_error_says_where_the_call_stood_when_it_was_and_what_to_do() {
    let ringing = Answerer::start("127.0.0.1:0".parse().unwrap(), Behaviour::Ring(PATIENCE), None).unwrap();
    let to = format!("bob@{}", ringing.address());
    let config = SessionConfig::client().rtp_ports(23_820, 23_859).unwrap().with(|config| config.limits.sessions = 1);
    let client = SessionManager::new(config).await.unwrap();
    let before = unix_ms();
    let call = client.make_call("alice", &to, None).await.unwrap();
    call.wait_for(CallState::Ringing, PATIENCE).await.unwrap();
    let error = call.hold().await.unwrap_err();
    assert!(matches!(error, Error::NotNow(_)), "{error}");
    let context = error.context().expect("the switch refused").clone();
    assert_eq!((context.session, context.state), (call.id(), Some(CallState::Ringing)));
    assert!(context.call_id.is_some() && matches!(context.media, MediaStanding::Offered { .. }), "{context:?}");
    // By the anchor and the ticks since, not by a clock.
    assert!(context.time.0.abs_diff(before) < 3_000, "{} is {} ms off", context.time, context.time.0.abs_diff(before));
    let text = error.to_string();
    for part in [
        format!("session {} (Ringing, no dialog, media offered at port ", call.id()),
        format!("at {}, tick {}: ", context.time, context.tick.0),
        "does not allow to hold; wait for the state change that allows it".to_owned(),
    ] {
        assert!(text.contains(&part), "{part}: {text}");
    }

    let full = client.make_call("alice", &to, None).await.unwrap_err();
    assert!(
        matches!(&full, Error::Refused(error) if error.cause == CallErrorCause::Limit("sessions".into())),
        "{full}"
    );
    assert!(full.to_string().contains("the limit of sessions is reached; end calls or raise it"), "{full}");
    let late = call.wait_for(CallState::Connected, Duration::from_millis(20)).await.unwrap_err().to_string();
    assert!(late.starts_with(&format!("call {} was not Connected within 20ms, it is Ringing; ", call.id())), "{late}");

    call.terminate().await.unwrap();
    call.wait_until_ended(PATIENCE).await.unwrap();
    let over = call.hold().await.unwrap_err().to_string();
    assert_eq!(over, format!("call {} is over: hung up (480)", call.id()));
    client.stop().await.unwrap();
    let stopped = client.make_call("alice", "bob@", None).await.unwrap_err().to_string();
    assert!(stopped.contains("is not NAME@HOST"), "{stopped}");
}
