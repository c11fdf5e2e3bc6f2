//! RFC 4475 and more over real sockets: the response that the RFC asks for, or a counted drop; and nothing is left.

use super::peer::{Peer, header, status};
use super::{Running, config};
use ringworld::components::edge::Transport;
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

/// A message of the RFC's section, and the status that answers it; 0 where none may.
struct Case {
    name: &'static str,
    text: Vec<u8>,
    status: u16,
}

/// A request whose lines can be changed: a line replaces that of the same name, `+` adds one, a name alone removes it.
fn request(name: &'static str, start: &str, lines: &[&str], body: &str, status: u16) -> Case {
    let method = start.split(' ').next().unwrap_or_default();
    let mut all = vec![
        format!("Via: SIP/2.0/@TRANSPORT@ @OWN@;branch=z9hG4bK-{name}"),
        "Max-Forwards: 70".to_owned(),
        "From: <sip:caller@example.net>;tag=134161461246".to_owned(),
        "To: <sip:echo@example.com>".to_owned(),
        format!("Call-ID: {name}.0ha0isndaksdj@192.0.2.1"),
        format!("CSeq: 8 {method}"),
        "Contact: <sip:caller@@OWN@>".to_owned(),
        format!("Content-Length: {}", body.len()),
    ];
    for line in lines {
        let (plain, adds) = (line.trim_start_matches('+'), line.starts_with('+'));
        let of = |line: &str| line.split(':').next().unwrap_or_default().trim().to_ascii_lowercase();
        match all.iter().position(|other| of(other) == of(plain)).filter(|_| !adds) {
            Some(at) if plain.contains(':') => plain.clone_into(&mut all[at]),
            Some(at) => drop(all.remove(at)),
            None => all.push(plain.to_owned()),
        }
    }
    Case { name, text: format!("{start}\r\n{}\r\n\r\n{body}", all.join("\r\n")).into_bytes(), status }
}

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
const INVITE: &str = "INVITE sip:ring-60@example.com SIP/2.0";
const OPTIONS: &str = "OPTIONS sip:echo@example.com SIP/2.0";
const REGISTER: &str = "REGISTER sip:example.com SIP/2.0";

fn cases() -> Vec<Case> {
    let sdp = "Content-Type: application/sdp";
    let long = "a".repeat(500);
    let weird = "!interesting-Method0123456789_*+`.%indeed'~ sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com SIP/2.0";
    let longs = [format!("Unknown-{long}: {long}"), format!("To: \"{long}\" <sip:{long}@h;{long}={long}>;{long}")];
    let tortuous = "OPTIONS sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0\r\nTO :\r\n sip:vivekg@chair-dnrc.example.com ;   par    = 1918181833n\r\n\
        from   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8\r\nMaX-fOrWaRdS: 0068\r\n\
        Call-ID: wsinv.ndaksdj@192.0.2.1\r\nContent-Length   : 0\r\ncseq: 0009\r\n  OPTIONS\r\nVia  : SIP  /   2.0\r\n /@TRANSPORT@\r\n    @OWN@;branch=390skdjuw\r\n\
        s :\r\nNewFangledHeader:   newfangled value\r\n continued newfangled value\r\nUnknownHeaderWithUnusualValue: ;;,,;;,;\r\n\
        Route:\r\n <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\r\n\
        v:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n  branch  =   z9hG4bK9ikj8  ,\r\n SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n z9hG4bK30239\r\n\
        m:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =\r\n      newvalue ;\r\n  secondparam ; q = 0.33\r\n\r\n";
    let raw = |name, text: &[u8]| Case { name, text: text.to_vec(), status: 0 };
    let via = |rest: &str| format!("Via: SIP/2.0/@TRANSPORT@ {rest}");
    vec![
        // Section 3.1.1: valid, however strange.
        Case { name: "wsinv", text: tortuous.into(), status: 200 },
        request(
            "intmeth",
            weird,
            &[
                "To: \"BEL:\\\u{7} NUL:\\\u{0} DEL:\\\u{7f}\" <sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com>",
            ],
            "",
            501,
        ),
        request("esc01", "OPTIONS sip:sips%3Auser%40example.com@example.net SIP/2.0", &[], "", 200),
        request(
            "escnull",
            REGISTER,
            &["To: sip:null-%00-null@example.com", "Contact: <sip:%00@host5.example.com>"],
            "",
            200,
        ),
        request("esc02", "RE%47IST%45R sip:registrar.example.com SIP/2.0", &[], "", 501),
        request("lwsdisp", OPTIONS, &["From: caller<sip:caller@example.com>;tag=323"], "", 200),
        request("longreq", OPTIONS, &[&longs[0], &longs[1], "+Via: SIP/2.0/TCP a, SIP/2.0/TCP b"], "", 200),
        request("semiuri", "OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0", &[], "", 200),
        request("unreason", OPTIONS, &["Accept-Language: \u{43d}\u{43e}"], "", 200),
        // Section 3.1.2: invalid.
        request("badinv01", INVITE, &["Contact: \"Joe\" <sip:joe@example.org>;;;;", sdp], SDP, 400),
        request("ncl", OPTIONS, &["Content-Length: -999"], "", 400),
        request("scalar02", REGISTER, &["CSeq: 36893488147419103232 REGISTER"], "", 400),
        request("scalar02b", REGISTER, &["Max-Forwards: 300"], "", 400),
        request("quotbal", INVITE, &["To: \"Mr. J. User <sip:j.user@example.com>"], "", 400),
        request("ltgtruri", "INVITE <sip:user@example.com> SIP/2.0", &[], "", 400),
        request("lwsruri", "INVITE sip:user@example.com; lr SIP/2.0", &[], "", 400),
        request("lwsstart", "INVITE  sip:user@example.com  SIP/2.0", &[], "", 400),
        request("trws", "OPTIONS sip:user@example.com SIP/2.0  ", &[], "", 400),
        request("escruri", "INVITE sip:user@example.com?Route=%3Csip:example.com%3E SIP/2.0", &[], "", 400),
        request("regbadct", REGISTER, &["Contact: sip:user@example.com?Route=%3Csip:sip.example.com%3E"], "", 400),
        request("badaspec", OPTIONS, &["To: \"Watson, Thomas\" < sip:t.watson@example.org >"], "", 400),
        request("baddn", OPTIONS, &["From: Bell, Alexander <sip:a.g.bell@example.com>;tag=43"], "", 400),
        request("badvers", "OPTIONS sip:user@example.com SIP/7.0", &[], "", 505),
        request("mismatch01", OPTIONS, &["CSeq: 8 INVITE"], "", 400),
        request("mismatch02", "NEWMETHOD sip:user@example.com SIP/2.0", &["CSeq: 8 INVITE"], "", 400),
        // Section 3.2: a branch that is only the magic cookie is a transaction all the same.
        request("badbranch", OPTIONS, &[&via("@OWN@;branch=z9hG4bK")], "", 200),
        // Section 3.3: application-layer semantics.
        request("insuf", "INVITE sip:user@example.com SIP/2.0", &["Call-ID", "From", "To"], "", 400),
        request("unkscm", "OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0", &[], "", 416),
        request("novelsc", "OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0", &[], "", 416),
        request("unksm2", REGISTER, &["To: isbn:2983792873", "From: <http://www.example.com>;tag=3234233"], "", 404),
        request("bext01", OPTIONS, &["Require: nothingSupportsThis, nothingSupportsThisEither"], "", 420),
        request("invut", INVITE, &["Content-Type: application/unknownformat"], "<audio/>", 415),
        request("regaut01", REGISTER, &["Authorization: NoOneKnowsThisScheme opaque-data=here"], "", 200),
        request("multi01", INVITE, &["+From: <sip:x@y>;tag=2", "+Call-ID: 2", "+CSeq: 5 INVITE"], "", 400),
        request("mcl01", OPTIONS, &["+l: 15"], "", 400),
        request("zeromf", OPTIONS, &["Max-Forwards: 0"], "", 200),
        request("cparam", REGISTER, &["Contact: sip:+19725552222@gw1.example.net;unknownparam"], "", 200),
        request("regescrt", REGISTER, &["Contact: <sip:user@example.com?Route=%3Csip:sip.example.com%3E>"], "", 200),
        request("sdp01", INVITE, &["Accept: text/nobodyKnowsThis", sdp], SDP, 406),
        request(
            "inv2543",
            OPTIONS,
            &[&via("@OWN@"), "Max-Forwards", "Contact", "From: <sip:+1@iftgw.example.com;user=phone>"],
            "",
            200,
        ),
        // Not in the RFC: offers that are none, and text that only resembles SIP.
        request("badsdp", "INVITE sip:echo@example.com SIP/2.0", &[sdp], "v=0\r\nnonsense", 400),
        request(
            "manysdp",
            "INVITE sip:echo@example.com SIP/2.0",
            &[sdp],
            &format!("{SDP}{}", "m=audio 4000 RTP/AVP 0\r\n".repeat(60)),
            488,
        ),
        request(
            "hugept",
            "INVITE sip:echo@example.com SIP/2.0",
            &[sdp],
            &SDP.replace("AVP 0", "AVP 999999999999 -1 256"),
            488,
        ),
        request("ackonly", "ACK sip:echo@example.com SIP/2.0", &[], "", 0),
        request("badack", "ACK sip:echo@example.com SIP/2.0", &["Call-ID"], "", 0),
        request("novia", OPTIONS, &["Via"], "", 0),
        request("bigcode", "SIP/2.0 4294967301 better not break the receiver", &["CSeq: 8 OPTIONS"], "", 0),
        request("bcast", "SIP/2.0 200 OK", &["CSeq: 8 INVITE"], "", 0),
        request("scalarlg", "SIP/2.0 503 Service Unavailable", &["CSeq: 9292394834772304023312 OPTIONS"], "", 0),
        raw("zeros", &[0; 900]),
        raw("high", &[0xff; 1_400]),
        raw("http", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        raw("colons", ":".repeat(3_000).as_bytes()),
        raw("folds", format!("OPTIONS sip:a SIP/2.0\r\nVia:{}\r\n\r\n", "\r\n ".repeat(2_000)).as_bytes()),
    ]
}

fn filled(text: &[u8], own: &str, transport: &str) -> Vec<u8> {
    // Most are text; the others have nothing to fill in.
    match std::str::from_utf8(text) {
        Ok(text) => text.replace("@OWN@", own).replace("@TRANSPORT@", transport).into_bytes(),
        Err(_) => text.to_vec(),
    }
}

/// An OPTIONS that must be answered, to show that the switch is alive and that what came before has been worked through.
fn ping(call: &str, own: &str, transport: &str) -> Vec<u8> {
    let ping = request("ping", OPTIONS, &[], "", 200).text;
    String::from_utf8_lossy(&filled(&ping, own, transport)).replace("ping", &format!("ping-{call}")).into_bytes()
}

#[test]
fn every_message_over_udp_gets_its_response_or_is_dropped_and_counted() {
    let mut config = config(&["udp:127.0.0.1:0"]);
    (config.sip.t1_ms, config.sip.t2_ms, config.sip.t4_ms) = (20, 160, 200);
    let running = Running::start(&config);
    let cases = cases();
    for case in &cases {
        let peer = Peer::new("127.0.0.1", running.at(Transport::Udp, "127.0.0.1"), case.name);
        let own = peer.own();
        peer.sip.send_to(&filled(&case.text, &own, "UDP"), peer.switch).expect("it is sent");
        peer.sip.send_to(&ping(case.name, &own, "UDP"), peer.switch).expect("it is sent");
        // What is asked for comes in the same tick as the answer to the ping, before or after it.
        let pinged = |text: &&String| text.contains(&format!("Call-ID: ping-{}.", case.name));
        let mut answers: Vec<String> = Vec::new();
        while answers.iter().filter(pinged).count() == 0 || (case.status != 0 && answers.len() < 2) {
            answers.push(peer.hear().0);
        }
        let answer = answers.iter().find(|text| !pinged(text)).map_or(0, |text| status(text));
        assert_eq!(answer, case.status, "{}: {answers:?}", case.name);
        if let Some(text) = answers.iter().find(|text| !pinged(text)) {
            assert!(header(text, "Via").is_some_and(|via| via.contains(&own) || via.contains("SIP")), "{text}");
        }
    }
    let silent = cases.iter().filter(|case| case.status == 0).count() as u64;
    settle(running, silent);
}

/// Calls that ring are ended by the drain; all else ends by itself. Then every count is back at its start.
fn settle(running: Running, silent: u64) {
    running.switch.begin_drain();
    let is_back = |running: &Running| {
        let status = running.switch.status().remove(0);
        status.end == status.start
    };
    for _ in 0..1_500 {
        if is_back(&running) {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let summary = running.finish();
    assert_eq!(summary.end, summary.start, "something is left");
    let dropped = summary.network.sip_malformed_dropped
        + summary.network.tcp_framing_closed
        + summary.network.sip_keep_alives
        + summary.signalling.dropped.values().sum::<u64>();
    assert!(dropped >= silent, "{silent} are to be counted: {:?} {:?}", summary.network, summary.signalling.dropped);
}

#[test]
fn every_message_over_tcp_gets_its_response_or_ends_its_connection() {
    let mut config = config(&["tcp:127.0.0.1:0"]);
    (config.sip.t1_ms, config.sip.t2_ms, config.sip.t4_ms) = (20, 160, 200);
    let running = Running::start(&config);
    let cases = cases();
    for case in &cases {
        let mut stream = TcpStream::connect(running.at(Transport::Tcp, "127.0.0.1")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
        let own = stream.local_addr().unwrap().to_string();
        // The switch may close the connection in the middle of this.
        let _ = stream.write_all(&filled(&case.text, &own, "TCP"));
        let _ = stream.write_all(&ping(case.name, &own, "TCP"));
        if case.text.len() > 100 && !case.text.windows(4).any(|window| window == b"\r\n\r\n") {
            // The switch waits for the end of the header and does not answer.
            continue;
        }
        let (mut all, mut bytes) = (String::new(), [0; 4_096]);
        let pong = format!("Call-ID: ping-{}.", case.name);
        loop {
            match stream.read(&mut bytes) {
                Ok(0) | Err(_) => break,
                Ok(len) => all.push_str(&String::from_utf8_lossy(&bytes[..len])),
            }
            let others = all.split("\r\n\r\n").filter(|text| text.starts_with("SIP/2.0 ")).count();
            if all.contains(&pong) && all.ends_with("\r\n\r\n") && (case.status == 0 || others > 1) {
                break;
            }
        }
        let first = all.split_inclusive("\r\n\r\n").find(|text| !text.contains(&pong) && text.starts_with("SIP/2.0 "));
        assert_eq!(first.map_or(0, status), case.status, "{}: {all}", case.name);
    }
    let silent = cases.iter().filter(|case| case.status == 0).count() as u64;
    settle(running, silent);
}

/// Messages truncated, concatenated and shuffled, as fast as they can be sent.
#[test]
fn a_flood_of_broken_messages_leaves_nothing() {
    let mut config = config(&["udp:127.0.0.1:0"]);
    (config.sip.t1_ms, config.sip.t2_ms, config.sip.t4_ms) = (20, 160, 200);
    let running = Running::start(&config);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let own = socket.local_addr().unwrap().to_string();
    let to = running.at(Transport::Udp, "127.0.0.1");
    let texts: Vec<Vec<u8>> = cases().iter().map(|case| filled(&case.text, &own, "UDP")).collect();
    let mut state = 7u64;
    let mut chance = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit.max(1)
    };
    let mut sent = 0u64;
    for round in 0..4_000 {
        let mut text = texts[chance(texts.len())].clone();
        for _ in 0..chance(4) {
            let at = chance(text.len());
            match chance(4) {
                0 => text.truncate(at),
                1 => text.insert(at, b"\r\n \t:;,<>\"@\0\xff"[chance(13)]),
                2 => {
                    let other = &texts[chance(texts.len())];
                    text.extend_from_slice(&other[chance(other.len())..]);
                }
                _ => drop(text.drain(at..text.len().min(at + chance(40)))),
            }
        }
        text.truncate(9_000);
        sent += u64::from(socket.send_to(&text, to).is_ok());
        if round % 50 == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    assert!(sent > 3_900);
    settle(running, 1);
}
