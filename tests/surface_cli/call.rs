//! `ringworld call`: every option, and a sentence with an exit code for everything that can go wrong.

use super::common::header;
use super::common::text::sdp;
use super::process::{Folder, Running, code, complaint, ringworld};
use nix::sys::signal::Signal;

#[test]
fn a_call_from_the_terminal_says_what_came_of_it() {
    let folder = Folder::new("call");
    let running =
        Running::start(&["--sip", "udp:127.0.0.1:0", "--sip", "tcp:127.0.0.1:0", "--rtp-ports", "23280-23319"]);
    let switch = running.udp();
    let call =
        |user: &str, arguments: &[&str]| ringworld(&[&["call", &format!("sip:{user}@{switch}")], arguments].concat());

    let wav = folder.file("heard.wav");
    let heard = call("echo", &["--seconds", "3", "--tone", "600", "--expect-tone", "600", "--hear", &wav]);
    assert_eq!(code(&heard), 0, "{}", complaint(&heard));
    let samples: Vec<i16> = hound::WavReader::open(&wav).unwrap().samples().map(Result::unwrap).collect();
    assert!(samples.len() > 8_000, "{} samples", samples.len());
    // A tone of 600 Hz crosses zero 1,200 times a second.
    let middle = &samples[samples.len() / 2..][..4_000];
    let crossings = middle.windows(2).filter(|pair| (pair[0] < 0) != (pair[1] < 0)).count();
    assert!((580..=620).contains(&crossings), "{crossings} in half a second");

    let wrong = call("tone", &["--seconds", "3", "--expect-tone", "600"]);
    assert_eq!(code(&wrong), 1);
    assert!(complaint(&wrong).contains("440 Hz was heard"), "{}", complaint(&wrong));
    let busy = call("busy", &[]);
    assert_eq!(code(&busy), 1);
    assert!(complaint(&busy).contains("486 Busy Here"), "{}", complaint(&busy));
    let silent = call("silence", &["--seconds", "2", "--expect-tone", "440"]);
    assert_eq!(code(&silent), 1);
    assert!(complaint(&silent).contains("a tone of 440 Hz was expected, but there was only silence"));
    let digit = call("echo", &["--dtmf", "1z"]);
    assert_eq!(code(&digit), 2, "{}", complaint(&digit));

    let tcp = running.greeting.iter().find_map(|line| line.strip_prefix("SIP over TCP on ")).unwrap();
    let over_tcp =
        ringworld(&["call", &format!("sip:tone@{tcp};transport=tcp"), "--seconds", "2", "--expect-tone", "440"]);
    assert_eq!(code(&over_tcp), 0, "{}", complaint(&over_tcp));
    running.signal(Signal::SIGTERM);
    assert_eq!(running.end().0, Some(0));

    let unused = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let closed = ringworld(&["call", &format!("sip:echo@{unused}")]);
    assert_eq!(code(&closed), 1);
    assert!(complaint(&closed).contains("port closed"), "{}", complaint(&closed));
}

#[test]
fn a_callee_that_is_unreachable_or_does_not_answer_is_reported_with_the_reason() {
    let unknown = ringworld(&["call", "sip:echo@no-such-host.invalid"]);
    assert_eq!(code(&unknown), 1);
    assert!(complaint(&unknown).contains("the host `no-such-host.invalid` has no address"), "{}", complaint(&unknown));
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = ringworld(&["call", &format!("sip:echo@{closed};transport=tcp")]);
    assert_eq!(code(&refused), 1);
    assert!(complaint(&refused).contains(&format!("no TCP connection with {closed}")), "{}", complaint(&refused));
    for uri in ["", "sip:", "sip:bob@"] {
        let output = ringworld(&["call", uri]);
        assert_eq!(code(&output), 2, "{uri}: {}", complaint(&output));
        assert!(complaint(&output).contains("sip:user@host"), "{uri}: {}", complaint(&output));
    }

    let folder = Folder::new("unanswered");
    let file = folder.file("impatient.toml");
    std::fs::write(&file, "[timers]\nringing_s = 1\n").unwrap();
    let running = Running::start(&["--config", &file, "--sip", "udp:127.0.0.1:0", "--rtp-ports", "23480-23519"]);
    let output = ringworld(&["call", &format!("sip:ring-60@{}", running.udp())]);
    assert_eq!(code(&output), 1);
    assert!(String::from_utf8_lossy(&output.stdout).contains("ringing (180)"));
    assert!(complaint(&output).contains("the call was refused: 480 "), "{}", complaint(&output));
    running.signal(Signal::SIGTERM);
    assert_eq!(running.end().0, Some(0));
}

#[test]
fn the_callee_gets_the_from_that_was_given_and_its_refusal_is_passed_on() {
    let callee = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = callee.local_addr().unwrap();
    let answering = std::thread::spawn(move || {
        callee.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        let mut bytes = [0; 4_000];
        let (length, peer) = callee.recv_from(&mut bytes).expect("an INVITE");
        let invite = String::from_utf8_lossy(&bytes[..length]).into_owned();
        let kept = invite
            .lines()
            .filter(|line| ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].iter().any(|it| line.starts_with(it)));
        let kept: String = kept.map(|line| format!("{line}\r\n")).collect();
        let refusal = format!("SIP/2.0 404 Not Found\r\n{kept}Content-Length: 0\r\n\r\n")
            .replace(">\r\nCall-ID", ">;tag=x\r\nCall-ID");
        callee.send_to(refusal.as_bytes(), peer).unwrap();
        invite
    });
    let output = ringworld(&["call", &format!("sip:bob@{address}"), "--from", "sip:alice@home.example"]);
    let invite = answering.join().unwrap();
    assert!(
        invite.lines().any(|line| line.starts_with("From: ") && line.contains("<sip:alice@home.example>;tag=")),
        "{invite}"
    );
    assert_eq!(code(&output), 1);
    assert!(complaint(&output).contains("the call was refused: 404 Not Found"), "{}", complaint(&output));
}

#[test]
fn digits_arrive_in_order_none_lost_and_none_twice() {
    let folder = Folder::new("digits");
    let file = folder.file("digits.rwlog");
    let running = Running::start(&["--sip", "udp:127.0.0.1:0", "--rtp-ports", "23520-23559", "--record", &file]);
    let output = ringworld(&["call", &format!("sip:silence@{}", running.udp()), "--dtmf", "19*0#D", "--seconds", "3"]);
    assert_eq!(code(&output), 0, "{}", complaint(&output));
    running.signal(Signal::SIGTERM);
    assert_eq!(running.end().0, Some(0));
    let events = ringworld(&["replay", &file, "--events"]);
    assert_eq!(code(&events), 0, "{}", complaint(&events));
    let told = String::from_utf8_lossy(&events.stdout).into_owned();
    let digits: String = told.lines().filter_map(|line| line.split("hears digit ").nth(1)?.chars().next()).collect();
    assert_eq!(digits, "19*0#D", "{told}");
}

/// A WAV file with a tone of 700 Hz.
fn wav(path: &str, sample_rate: u32, channels: u16, seconds: u32) {
    let spec = hound::WavSpec { channels, sample_rate, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    for at in 0..sample_rate * seconds * u32::from(channels) {
        let turn = f64::from(at / u32::from(channels)) * 700.0 / f64::from(sample_rate) * std::f64::consts::TAU;
        writer.write_sample((turn.sin() * 8_000.0) as i16).unwrap();
    }
    writer.finalize().unwrap();
}

#[test]
fn a_file_is_played_to_its_end_and_one_that_can_not_be_is_named() {
    let folder = Folder::new("play");
    let (good, wide) = (folder.file("good.wav"), folder.file("wide.wav"));
    wav(&good, 8_000, 1, 3);
    wav(&wide, 44_100, 2, 1);
    let running = Running::start(&["--sip", "udp:127.0.0.1:0", "--rtp-ports", "23920-23959"]);
    let echo = format!("sip:echo@{}", running.udp());
    // The file is longer than the call would be without it.
    let heard = ringworld(&["call", &echo, "--seconds", "1", "--play", &good, "--expect-tone", "700"]);
    assert_eq!(code(&heard), 0, "{}", complaint(&heard));
    let told = String::from_utf8_lossy(&heard.stdout).into_owned();
    let sent = told.lines().find_map(|line| line.split(" packets sent").next()?.parse::<u32>().ok());
    assert!(sent.is_some_and(|sent| sent >= 150), "{told}");
    for (file, words) in [
        (&wide, "it has 44100 Hz, 2 channel(s) and 16 bits, and 8000 Hz, one channel and 16 bits are needed"),
        (&folder.file("missing.wav"), "can't be played"),
    ] {
        let refused = ringworld(&["call", &echo, "--play", file]);
        assert_eq!(code(&refused), 2);
        assert!(complaint(&refused).contains(words) && complaint(&refused).contains(file), "{}", complaint(&refused));
    }
    running.signal(Signal::SIGTERM);
    assert_eq!(running.end().0, Some(0));
}

#[test]
fn an_address_that_asks_for_tls_is_refused_before_anything_is_sent() {
    let callee = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = callee.local_addr().unwrap();
    for uri in
        [format!("sips:bob@{address}"), format!("SIP:bob@{address};transport=TLS"), format!("{address};transport=tls")]
    {
        let output = ringworld(&["call", &uri]);
        assert_eq!(code(&output), 2, "{uri}: {}", complaint(&output));
        assert!(complaint(&output).contains("asks for TLS"), "{}", complaint(&output));
    }
    callee.set_nonblocking(true).unwrap();
    assert!(callee.recv(&mut [0; 10]).is_err(), "nothing was sent");
}

#[test]
fn what_it_can_not_do_is_refused_with_what_it_can() {
    let callee = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = callee.local_addr().unwrap();
    let answering = std::thread::spawn(move || {
        callee.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        let mut bytes = [0; 4_000];
        let mut hear = |start: &str| loop {
            let (length, peer) = callee.recv_from(&mut bytes).unwrap_or_else(|error| panic!("{start}: {error}"));
            let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
            if text.starts_with(start) {
                return (text, peer);
            }
        };
        let (invite, peer) = hear("INVITE ");
        let of = |text: &str, name: &str| header(text, name).unwrap_or_default().to_owned();
        let answer = |request: &str, body: &str| {
            let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
            let to = of(request, "To");
            let to = if to.contains(";tag=") { to } else { format!("{to};tag=b") };
            format!(
                "SIP/2.0 200 OK\r\nVia: {}\r\nFrom: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
                 Contact: <sip:bob@{address}>\r\n{content}Content-Length: {}\r\n\r\n{body}",
                of(request, "Via"),
                of(request, "From"),
                of(request, "Call-ID"),
                of(request, "CSeq"),
                body.len()
            )
        };
        let audio = "127.0.0.1:9000".parse().expect("an address");
        callee.send_to(answer(&invite, &sdp(audio, "0", "")).as_bytes(), peer).unwrap();
        hear("ACK ");
        for (cseq, method, status) in [(1, "UPDATE", 405), (2, "MESSAGE", 405), (3, "TELEPORT", 501)] {
            let request = format!(
                "{method} sip:caller@{peer} SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch=z9hG4bK{cseq}\r\n\
                 Max-Forwards: 70\r\nFrom: {};tag=b\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\n\
                 Content-Length: 0\r\n\r\n",
                of(&invite, "To"),
                of(&invite, "From"),
                of(&invite, "Call-ID"),
            );
            callee.send_to(request.as_bytes(), peer).unwrap();
            let (refusal, _) = hear("SIP/2.0 ");
            assert!(refusal.starts_with(&format!("SIP/2.0 {status} ")), "{method}: {refusal}");
            assert_eq!(header(&refusal, "Allow"), Some("INVITE, ACK, BYE, CANCEL, OPTIONS, INFO"), "{refusal}");
        }
        let (bye, _) = hear("BYE ");
        callee.send_to(answer(&bye, "").as_bytes(), peer).unwrap();
    });
    let output = ringworld(&["call", &format!("sip:bob@{address}"), "--seconds", "1"]);
    answering.join().unwrap();
    assert_eq!(code(&output), 0, "{}", complaint(&output));
}
