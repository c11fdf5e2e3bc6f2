//! The softphone against the answerer, over loopback sockets.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};

use super::*;
use crate::load::{Answerer, Behaviour};

fn answerer(behaviour: Behaviour) -> (Answerer, String) {
    let answerer = Answerer::start("127.0.0.1:0".parse().unwrap(), behaviour, None).unwrap();
    let uri = format!("sip:callee@{}", answerer.address());
    (answerer, uri)
}

fn failure(settings: &Settings) -> Failure {
    call(settings, |_| ()).unwrap_err()
}

fn sentence(settings: &Settings) -> String {
    failure(settings).to_string()
}

#[test]
fn a_tone_and_digits_are_heard_back_and_recorded() {
    let (_answerer, uri) = answerer(Behaviour::Ring(Duration::from_millis(100)));
    let path = std::env::temp_dir().join(format!("ringworld-softphone-{}.wav", std::process::id()));
    let settings = Settings {
        from: Some("sip:me@example.org".into()),
        seconds: 2,
        tone_hz: Some(620),
        expect_tone_hz: Some(620),
        dtmf: "19#".into(),
        hear: Some(path.clone()),
        laws: vec![G711::Pcma],
        ..Settings::new(uri)
    };
    let mut events = Vec::new();
    let conversation = call(&settings, |event| events.push(event)).unwrap();
    assert_eq!(conversation.digits_heard, "19#");
    assert_eq!((conversation.packets_lost, conversation.law), (0, G711::Pcma));
    assert!(conversation.packets_received >= 90, "{conversation:?}");
    assert!(matches!(events[..3], [Event::Calling(_), Event::Ringing(180), Event::Answered { .. }]), "{events:?}");
    assert!(events.contains(&Event::DigitHeard('9')));
    let samples = hound::WavReader::open(&path).unwrap().len();
    assert!(samples >= 14_000, "{samples}");
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn failures_are_told_in_words() {
    let (_busy, uri) = answerer(Behaviour::Reject(486));
    assert_eq!(sentence(&Settings::new(uri)), "the call was refused: 486 Busy Here");

    let (_ringing, uri) = answerer(Behaviour::Ring(Duration::from_secs(60)));
    let impatient = Settings { ring_limit: Duration::from_millis(300), ..Settings::new(uri) };
    assert!(matches!(failure(&impatient), Failure::Cancelled));

    let (silence, uri) = answerer(Behaviour::Silence);
    let expecting = Settings { seconds: 1, expect_tone_hz: Some(440), ..Settings::new(uri) };
    assert_eq!(sentence(&expecting), "the call was answered, but nothing was heard");
    let closed = silence.address();
    drop(silence);
    let words = sentence(&Settings::new(format!("sip:x@{closed}")));
    assert!(words.contains("nothing listens"), "{words}");

    let (_echo, uri) = answerer(Behaviour::Echo);
    let wrong = Settings { seconds: 1, tone_hz: Some(700), expect_tone_hz: Some(440), ..Settings::new(uri.clone()) };
    assert_eq!(sentence(&wrong), "a tone of 440 Hz was expected, but 700 Hz was heard");
    let quiet = Settings { seconds: 1, expect_tone_hz: Some(440), ..Settings::new(uri.clone()) };
    assert!(sentence(&quiet).contains("only silence"));
    assert!(matches!(failure(&Settings { dtmf: "1z".into(), ..Settings::new(uri) }), Failure::BadDigit('z')));
}

#[test]
fn wrong_addresses_are_refused_before_anything_is_sent() {
    for bad in ["", "sip:", "a b@host", "sip:x@host>;tag=1", "sip:x@host\r\nVia: y", "sip:x@host:99999"] {
        assert!(matches!(failure(&Settings::new(bad)), Failure::BadUri(_)), "{bad:?}");
    }
    let words = sentence(&Settings::new("sip:x@no-such-host.invalid"));
    assert!(words.contains("no-such-host.invalid"), "{words}");
    let high = Settings { tone_hz: Some(9_000), ..Settings::new("x@127.0.0.1") };
    assert!(matches!(failure(&high), Failure::BadSetting(_)));
}

#[test]
fn the_other_side_may_hang_up() {
    let after = Some(Duration::from_millis(300));
    let answerer = Answerer::start("127.0.0.1:0".parse().unwrap(), Behaviour::Echo, after).unwrap();
    let settings = Settings { seconds: 60, ..Settings::new(format!("x@{}", answerer.address())) };
    let mut events = Vec::new();
    let conversation = call(&settings, |event| events.push(event)).unwrap();
    assert!(conversation.hung_up_by_other);
    assert_eq!(events.last(), Some(&Event::HungUpByOther));
}

/// Carries one TCP connection's messages to an answerer over UDP and back.
fn bridge(listener: TcpListener, to: SocketAddr) {
    let (mut stream, _) = listener.accept().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let timeout = Some(Duration::from_millis(5));
    stream.set_read_timeout(timeout).unwrap();
    socket.set_read_timeout(timeout).unwrap();
    let (mut buffer, mut chunk) = (Vec::new(), [0u8; 4_096]);
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return,
            Ok(length) => buffer.extend(&chunk[..length]),
            Err(_) => {}
        }
        while let Some(message) = crate::ua::frame::take(&mut buffer).unwrap() {
            socket.send_to(&message, to).unwrap();
        }
        while let Ok(length) = socket.recv(&mut chunk) {
            // In two pieces, as a stream may.
            stream.write_all(&chunk[..length / 2]).unwrap();
            stream.write_all(&chunk[length / 2..length]).unwrap();
        }
    }
}

#[test]
fn a_call_over_tcp() {
    let (answerer, _) = answerer(Behaviour::Echo);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let to = answerer.address();
    let bridge = std::thread::Builder::new().spawn(move || bridge(listener, to)).unwrap();
    let settings = Settings {
        seconds: 1,
        tone_hz: Some(500),
        expect_tone_hz: Some(500),
        ..Settings::new(format!("sip:echo@{address};transport=tcp"))
    };
    let conversation = call(&settings, |_| ()).unwrap();
    assert!(conversation.packets_received > 40);
    assert_eq!(answerer.seen().byes, 1);
    bridge.join().unwrap();
    // The listener is gone: the connection is refused.
    let words = sentence(&Settings::new(format!("sip:echo@{address};transport=tcp")));
    assert!(words.contains("no TCP connection"), "{words}");
}
