//! Offers and what becomes of them, as tables.

use super::super::{Origin, taken, write_answer, write_offer as offer};
use super::*;
use crate::record::{from_bytes, to_bytes};
use bytes::Bytes;
use proptest::prelude::*;

const LOCAL: LocalMedia<'static> = LocalMedia {
    address: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
    port: 10_000,
    codecs: &[Codec::Pcmu, Codec::Pcma],
    offered: &[Codec::Pcmu, Codec::Pcma],
    direction: Direction::SendRecv,
    ptime_ms: 20,
    telephone_event: true,
};
const ORIGIN: Origin = Origin { session_id: 77, version: 3 };

fn answer(
    offer: &SessionDescription,
    before: &[MediaLine],
    local: &LocalMedia<'_>,
    origin: Origin,
) -> Result<(Bytes, Vec<MediaLine>), SdpError> {
    let lines = accept_offer(offer, before, local)?;
    Ok((write_answer(offer, &lines, local, origin), lines))
}

fn description(media: &str) -> SessionDescription {
    let text = format!("v=0\r\no=- 1 2 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n{media}");
    SessionDescription::parse(text.as_bytes()).unwrap()
}

fn agreed(media: &str) -> Negotiated {
    let local =
        if media.contains("IP6") { LocalMedia { address: "2001:db8::1".parse().unwrap(), ..LOCAL } } else { LOCAL };
    let (text, lines) = answer(&description(media), &[], &local, ORIGIN).unwrap();
    let negotiated = taken(&lines).unwrap().1.clone();
    assert_eq!(from_bytes::<Negotiated>(&to_bytes(&negotiated)).unwrap(), negotiated);
    // Our own answer must read back as the same agreement, seen from the other side.
    let read = SessionDescription::parse(&text).unwrap();
    let stream = read.streams().find(|stream| stream.is_audio()).unwrap();
    assert_eq!(stream.codec(Codec::ALL), Some((negotiated.codec, negotiated.receive_payload_type)));
    assert_eq!(stream.direction(), negotiated.direction);
    negotiated
}

#[test]
fn every_codec_is_offered_with_the_events_of_its_clock_and_agreed_on() {
    let local = LocalMedia { codecs: Codec::ALL, offered: Codec::ALL, ..LOCAL };
    let text = String::from_utf8(offer(&[], &local, ORIGIN).to_vec()).unwrap();
    let audio = [
        "m=audio 10000 RTP/AVP 0 8 9 97 96 101 102",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:9 G722/8000",
        "a=rtpmap:97 L16/16000",
        "a=rtpmap:96 L16/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-16",
        "a=rtpmap:102 telephone-event/16000",
        "a=fmtp:102 0-16",
        "a=ptime:20",
    ];
    assert!(text.contains(&audio.join("\r\n")), "{text}");
    // 20 ms of L16/48000 do not fit a packet.
    let local = LocalMedia { ptime_ms: 10, ..local };
    let ours = SessionDescription::parse(&offer(&[], &local, ORIGIN)).unwrap();
    for &codec in Codec::ALL {
        let theirs = LocalMedia { codecs: &[codec], port: 20_000, ..local };
        let (answered, lines) = answer(&ours, &[], &theirs, ORIGIN).unwrap();
        let seen = taken(&lines).unwrap().1.clone();
        assert_eq!((seen.codec, seen.payload_type, seen.ptime_ms), (codec, codec.payload_type(), 10));
        let lines = accept_answer(&ours, &SessionDescription::parse(&answered).unwrap()).unwrap();
        let agreed = taken(&lines).unwrap().1.clone();
        assert_eq!((agreed.codec, agreed.payload_type), (codec, codec.payload_type()));
        assert!(agreed.dtmf_payload_type.is_some() && agreed.dtmf_payload_type == seen.dtmf_payload_type, "{codec}");
    }
}

#[test]
fn an_offer_within_a_session_gives_no_number_to_another_codec() {
    let media = "m=audio 4000 RTP/AVP 96 98\r\na=rtpmap:96 L16/16000\r\na=rtpmap:98 telephone-event/16000\r\n";
    let local = LocalMedia { codecs: Codec::ALL, offered: Codec::ALL, ptime_ms: 10, ..LOCAL };
    let (_, lines) = answer(&description(media), &[], &local, ORIGIN).unwrap();
    let text = String::from_utf8(offer(&lines, &local, ORIGIN).to_vec()).unwrap();
    assert!(text.contains("m=audio 10000 RTP/AVP 96 0 8 9 97 99 98 101 102\r\n"), "{text}");
    for map in ["96 L16/16000", "99 L16/8000", "97 L16/48000", "98 telephone-event/16000", "102 telephone-event/48000"]
    {
        assert!(text.contains(&format!("a=rtpmap:{map}\r\n")), "{map}: {text}");
    }
}

#[test]
fn codecs_and_payload_types() {
    let table = [
        ("m=audio 4000 RTP/AVP 0 8\r\n", Codec::Pcmu, 0, None),
        ("m=audio 4000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000 101\r\n", Codec::Pcma, 8, None),
        ("m=audio 4000 RTP/AVP 8\r\na=rtpmap:8 PCMA\r\n", Codec::Pcma, 8, None),
        ("m=audio 4000 RTP/AVP 97\r\na=rtpmap:97\tPCMA/8000\r\n", Codec::Pcma, 97, None),
        ("m=audio 4000 RTP/AVP 18 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\n", Codec::Pcma, 8, Some(101)),
        ("m=audio 4000 RTP/AVP 97 0\r\na=rtpmap:97 pcma/8000/1\r\n", Codec::Pcma, 97, None),
        ("m=audio 4000 RTP/AVP 97 8\r\na=rtpmap:97 PCMU/16000\r\n", Codec::Pcma, 8, None),
        (
            "m=audio 4000 RTP/AVP 0 96\r\na=rtpmap:96 Telephone-Event/8000\r\na=fmtp:96 0-15\r\n",
            Codec::Pcmu,
            0,
            Some(96),
        ),
        ("m=audio 4000 RTP/AVP 0 96\r\na=rtpmap:96 telephone-event/48000\r\n", Codec::Pcmu, 0, None),
        ("m=audio 4000 RTP/AVP 0 8\r\na=rtpmap:0 G726-32/8000\r\n", Codec::Pcma, 8, None),
        ("m=audio 4000 RTP/AVPF 300 x 8\r\n", Codec::Pcma, 8, None),
        (
            "m=audio 4000 RTP/AVP 128 97\r\na=rtpmap:128 PCMU/8000\r\na=rtpmap:97 PCMA/8000\r\na=rtpmap:97 PCMU/8000\r\n",
            Codec::Pcma,
            97,
            None,
        ),
    ];
    for (media, codec, payload_type, dtmf) in table {
        let negotiated = agreed(media);
        assert_eq!((negotiated.codec, negotiated.payload_type), (codec, payload_type), "{media}");
        assert_eq!((negotiated.dtmf_payload_type, negotiated.receive_dtmf_payload_type), (dtmf, dtmf), "{media}");
    }
}

#[test]
fn directions_and_hold() {
    use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
    let table = [
        ("", SendRecv),
        ("a=sendrecv\r\n", SendRecv),
        ("a=sendonly\r\n", RecvOnly),
        ("a=recvonly\r\n", SendOnly),
        ("a=inactive\r\n", Inactive),
        ("c=IN IP4 0.0.0.0\r\n", RecvOnly),
        ("c=IN IP4 0.0.0.0\r\na=sendonly\r\n", RecvOnly),
        ("c=IN IP4 0.0.0.0\r\na=recvonly\r\n", Inactive),
        ("c=IN IP4 0.0.0.0\r\na=inactive\r\n", Inactive),
        ("c=IN IP6 ::\r\n", RecvOnly),
    ];
    for (attributes, direction) in table {
        let media = format!("m=audio 4000 RTP/AVP 0\r\n{attributes}");
        assert_eq!(agreed(&media).direction, direction, "{attributes}");
        let held = LocalMedia { direction: SendOnly, ..LOCAL };
        let (_, lines) = answer(&description(&media), &[], &held, ORIGIN).unwrap();
        assert_eq!(taken(&lines).unwrap().1.direction, direction.and(SendOnly), "{attributes}");
    }
    let session_level = "a=sendonly\r\nm=audio 4000 RTP/AVP 0\r\n";
    assert_eq!(agreed(session_level).direction, RecvOnly);
    assert_eq!(agreed(&format!("{session_level}a=sendrecv\r\n")).direction, SendRecv);
    assert_eq!(
        [SendRecv, SendOnly, RecvOnly, Inactive].map(Direction::mirrored),
        [SendRecv, RecvOnly, SendOnly, Inactive]
    );
}

#[test]
fn packet_times() {
    for (attributes, ptime_ms) in [
        ("", 20),
        ("a=ptime:10\r\n", 10),
        ("a=ptime:60\r\n", 60),
        ("a=ptime:5\r\n", 10),
        ("a=ptime:200\r\n", 60),
        ("a=ptime:35\r\n", 30),
        ("a=ptime:30.0\r\n", 30),
        ("a=ptime:x\r\n", 20),
        ("a=ptime:0\r\n", 20),
        ("a=ptime:40\r\na=maxptime:30\r\n", 30),
        ("a=maxptime:10\r\n", 10),
        ("a=maxptime:150\r\n", 20),
    ] {
        assert_eq!(agreed(&format!("m=audio 4000 RTP/AVP 0\r\n{attributes}")).ptime_ms, ptime_ms, "{attributes}");
    }
}

#[test]
fn addresses() {
    let table = [
        ("", "192.0.2.9:4000"),
        ("c=IN IP4 198.51.100.7\r\n", "198.51.100.7:4000"),
        ("c=IN IP6 2001:db8::7\r\n", "[2001:db8::7]:4000"),
        ("c=IN IP4 media.example.com\r\n", "0.0.0.0:4000"),
    ];
    for (lines, rtp) in table {
        let negotiated = agreed(&format!("m=audio 4000 RTP/AVP 0\r\n{lines}"));
        assert_eq!(negotiated.remote, rtp.parse().unwrap(), "{lines}");
    }
    assert_eq!(
        agreed("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 media.example.com\r\n").direction,
        Direction::SendRecv,
        "a host name is no hold"
    );
}

#[test]
fn a_stream_whose_connection_is_of_no_use_is_turned_down() {
    for connection in
        ["AF IP4 192.0.2.9", "IN IP7 192.0.2.9", "IN IP4 not!a!name", "IN IP6 2001:db8::9", "IN IP4 224.0.0.9"]
    {
        let offered = description(&format!("m=audio 4000 RTP/AVP 0\r\nc={connection}\r\n"));
        assert_eq!(answer(&offered, &[], &LOCAL, ORIGIN).unwrap_err(), SdpError::NoAddress, "{connection}");
        let two = description(&format!("m=audio 4000 RTP/AVP 0\r\nc={connection}\r\nm=audio 4002 RTP/AVP 8\r\n"));
        let (_, lines) = answer(&two, &[], &LOCAL, ORIGIN).unwrap();
        assert_eq!(taken(&lines).unwrap().0, 1, "the other stream of the offer has an address: {connection}");
    }
    let nowhere =
        SessionDescription::parse(b"v=0\r\no=- 1 2 IN IP4 h\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n").unwrap();
    assert_eq!(answer(&nowhere, &[], &LOCAL, ORIGIN).unwrap_err(), SdpError::NoAddress);
    let ours = SessionDescription::parse(&offer(&[], &LOCAL, ORIGIN)).unwrap();
    assert_eq!(accept_answer(&ours, &nowhere).unwrap_err(), SdpError::NoAddress);
}

#[test]
fn every_stream_is_answered_in_its_place() {
    let offered = description(
        "t=5 9\r\nm=video 5000 RTP/AVP 31 34\r\na=recvonly\r\nm=audio 0 RTP/AVP 0\r\nm=audio 5002 RTP/SAVP 0\r\n\
         m=audio 5004 RTP/AVP 18\r\nm=audio 5006 RTP/AVP 8\r\nm=audio 5008 RTP/AVP 0\r\nm=application 9 TCP/x *\r\n",
    );
    let (text, lines) = answer(&offered, &[], &LOCAL, ORIGIN).unwrap();
    assert_eq!(
        std::str::from_utf8(&text).unwrap(),
        "v=0\r\no=- 77 3 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nt=5 9\r\n\
         m=video 0 RTP/AVP 31 34\r\nm=audio 0 RTP/AVP 0\r\nm=audio 0 RTP/SAVP 0\r\nm=audio 0 RTP/AVP 18\r\n\
         m=audio 10000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=ptime:20\r\na=sendrecv\r\n\
         m=audio 0 RTP/AVP 0\r\nm=application 0 TCP/x *\r\n"
    );
    let kinds: Vec<_> = lines.iter().map(|line| (line.media.as_ref(), line.taken.is_some())).collect();
    assert_eq!((kinds.len(), kinds[0], kinds[4]), (7, (&b"video"[..], false), (&b"audio"[..], true)));
    assert_eq!(taken(&lines).unwrap().1.remote.port(), 5006);
    // A group and the names of its members are not understood, so they are not answered (RFC 5888 section 7).
    let grouped = description(
        "a=group:BUNDLE 0 1\r\nm=audio 4000 RTP/AVP 0\r\na=mid:0\r\na=rtcp-mux\r\nm=video 0 RTP/SAVPF 96\r\na=mid:1\r\na=bundle-only\r\n",
    );
    let (text, _) = answer(&grouped, &[], &LOCAL, ORIGIN).unwrap();
    let text = std::str::from_utf8(&text).unwrap();
    assert!(!text.contains("group") && !text.contains("mid") && !text.contains("mux"), "{text}");
    assert!(text.ends_with("m=video 0 RTP/SAVPF 96\r\n"), "{text}");
}

#[test]
fn a_new_offer_keeps_the_lines_and_payload_types_of_the_agreement() {
    let offered = description(
        "m=video 5000 RTP/SAVP 31 34\r\nm=audio 5006 RTP/AVPF 97 101 96\r\na=rtpmap:97 PCMA/8000\r\na=rtpmap:101 opus/48000/2\r\n\
         a=rtpmap:96 telephone-event/8000\r\nm=image 5008 udptl t38\r\n",
    );
    let (_, lines) = answer(&offered, &[], &LOCAL, ORIGIN).unwrap();
    let bytes = offer(&lines, &LocalMedia { direction: Direction::SendOnly, ..LOCAL }, Origin { version: 4, ..ORIGIN });
    let text = std::str::from_utf8(&bytes).unwrap();
    assert!(
        text.ends_with(
            "t=0 0\r\nm=video 0 RTP/SAVP 31\r\nm=audio 10000 RTP/AVPF 97 0 96\r\na=rtpmap:97 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n\
             a=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-16\r\na=ptime:20\r\na=sendonly\r\nm=image 0 udptl t38\r\n"
        ),
        "{text}"
    );
    let off = description("m=video 0 RTP/SAVP 31\r\nm=audio 0 RTP/AVP 0\r\n");
    let (text, off) = answer(&off, &lines, &LOCAL, ORIGIN).unwrap();
    assert!(std::str::from_utf8(&text).unwrap().ends_with("m=video 0 RTP/SAVP 31\r\nm=audio 0 RTP/AVP 0\r\n"));
    assert_eq!(taken(&off), None, "all streams of the session are off");
    let again = String::from_utf8(offer(&off, &LOCAL, ORIGIN).to_vec()).unwrap();
    assert!(
        again.contains("m=video 0 RTP/SAVP 31\r\nm=audio 10000 RTP/AVP 0 8 101\r\n"),
        "the line is used again: {again}"
    );
    let no_audio = description("m=video 5000 RTP/AVP 31\r\n");
    let video = MediaLine { media: "video".into(), protocol: "RTP/AVP".into(), format: "31".into(), taken: None };
    assert_eq!(answer(&no_audio, std::slice::from_ref(&video), &LOCAL, ORIGIN).unwrap_err(), SdpError::NoAudio);
    let again = String::from_utf8(offer(&[video], &LOCAL, ORIGIN).to_vec()).unwrap();
    assert!(again.contains("m=video 0 RTP/AVP 31\r\nm=audio 10000 "), "a line is added at the end: {again}");
}

#[test]
fn the_stream_in_use_stays_in_use() {
    let first = description("m=audio 0 RTP/AVP 0\r\nm=audio 5002 RTP/AVP 0\r\n");
    let (_, lines) = answer(&first, &[], &LOCAL, ORIGIN).unwrap();
    let both = description("m=audio 5000 RTP/AVP 0\r\nm=audio 5002 RTP/AVP 8\r\n");
    let (_, both) = answer(&both, &lines, &LOCAL, ORIGIN).unwrap();
    assert_eq!(taken(&both).map(|(index, agreed)| (index, agreed.codec)), Some((1, Codec::Pcma)));
    let moved = description("m=audio 5000 RTP/AVP 0\r\nm=audio 0 RTP/AVP 8\r\n");
    let (_, moved) = answer(&moved, &both, &LOCAL, ORIGIN).unwrap();
    assert_eq!(taken(&moved).map(|(index, agreed)| (index, agreed.codec)), Some((0, Codec::Pcmu)));
}

#[test]
fn what_can_not_be_agreed_is_named() {
    let pcma = LocalMedia { codecs: &[Codec::Pcma], ..LOCAL };
    for (media, error) in [
        ("", SdpError::NoAudio),
        ("m=video 5000 RTP/AVP 31\r\n", SdpError::NoAudio),
        ("m=audio 0 RTP/AVP 8\r\n", SdpError::NoAudio),
        ("m=audio 4000 RTP/SAVP 8\r\n", SdpError::NoAudio),
        ("m=audio 4000 RTP/AVP 0 101\r\n", SdpError::NoCommonCodec),
        ("m=audio 4000 RTP/AVP 101\r\na=rtpmap:101 telephone-event/8000\r\n", SdpError::NoCommonCodec),
    ] {
        assert_eq!(answer(&description(media), &[], &pcma, ORIGIN).unwrap_err(), error, "{media}");
        assert_eq!(error.status(), 488);
    }
    for text in ["", "v=0", "m=audio x RTP/AVP 0", "\u{0}", "v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\nm=audio 1 RTP/AVP\r\n"] {
        assert_eq!(SessionDescription::parse(text.as_bytes()).unwrap_err(), SdpError::Syntax, "{text}");
    }
    let many = format!("v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\n{}", "m=audio 1 RTP/AVP 0\r\n".repeat(17));
    assert_eq!(SessionDescription::parse(many.as_bytes()).unwrap_err(), SdpError::TooManyStreams);
}

#[test]
fn our_offer_and_its_answer() {
    let bytes = offer(&[], &LocalMedia { direction: Direction::SendOnly, ..LOCAL }, ORIGIN);
    assert_eq!(
        std::str::from_utf8(&bytes).unwrap(),
        "v=0\r\no=- 77 3 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 10000 RTP/AVP 0 8 101\r\n\
         a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n\
         a=ptime:20\r\na=sendonly\r\n"
    );
    let ours = SessionDescription::parse(&bytes).unwrap();
    let theirs = description(
        "m=audio 4000 RTP/AVP 8 0 96\r\na=rtpmap:96 telephone-event/8000\r\na=ptime:30\r\na=recvonly\r\nm=video 9 RTP/AVP 31\r\n",
    );
    let lines = accept_answer(&ours, &theirs).unwrap();
    let negotiated = taken(&lines).unwrap().1;
    assert_eq!((negotiated.codec, negotiated.payload_type, negotiated.receive_payload_type), (Codec::Pcma, 8, 8));
    assert_eq!((negotiated.dtmf_payload_type, negotiated.receive_dtmf_payload_type), (Some(96), Some(101)));
    assert_eq!((negotiated.ptime_ms, negotiated.direction), (30, Direction::SendOnly));
    assert_eq!(lines.len(), 1, "a line that was not offered is no part of the agreement");

    let plain = LocalMedia { telephone_event: false, codecs: &[Codec::Pcmu], ..LOCAL };
    let plain = offer(&[], &plain, ORIGIN);
    assert!(!std::str::from_utf8(&plain).unwrap().contains("101"));
    let plain = SessionDescription::parse(&plain).unwrap();
    for (answered, error) in [
        ("m=audio 0 RTP/AVP 0\r\n", SdpError::Rejected),
        ("", SdpError::Rejected),
        ("m=audio 4000 RTP/AVP 8\r\n", SdpError::NoCommonCodec),
        ("m=audio 4000 RTP/AVP 0\r\nc=IN IP6 2001:db8::1\r\n", SdpError::NoAddress),
    ] {
        assert_eq!(accept_answer(&plain, &description(answered)).unwrap_err(), error, "{answered}");
    }
}

proptest! {
    /// Two instances of this code always come to the same agreement, seen from both sides.
    #[test]
    fn offerer_and_answerer_agree(swap: bool, only in 0..3usize, mine in 0..4usize, yours in 0..4usize, ptime in 1..7u8, events: (bool, bool)) {
        let directions = [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive];
        let codecs: &[Codec] = if swap { &[Codec::Pcma, Codec::Pcmu] } else { &[Codec::Pcmu, Codec::Pcma] };
        let allowed = [Codec::ALL, &[Codec::Pcmu], &[Codec::Pcma]][only];
        let caller = LocalMedia { codecs, offered: codecs, direction: directions[mine], ptime_ms: ptime * 10, telephone_event: events.0, ..LOCAL };
        let callee = LocalMedia { codecs: allowed, direction: directions[yours], port: 20_000, telephone_event: events.1, ..LOCAL };
        let offered = SessionDescription::parse(&offer(&[], &caller, ORIGIN)).unwrap();
        let (text, theirs) = answer(&offered, &[], &callee, ORIGIN).unwrap();
        let ours = accept_answer(&offered, &SessionDescription::parse(&text).unwrap()).unwrap();
        let (theirs, ours) = (taken(&theirs).unwrap().1, taken(&ours).unwrap().1);
        prop_assert_eq!(ours.direction, theirs.direction.mirrored());
        prop_assert_eq!((ours.codec, ours.payload_type, ours.ptime_ms), (theirs.codec, theirs.receive_payload_type, theirs.ptime_ms));
        prop_assert_eq!(ours.dtmf_payload_type, theirs.receive_dtmf_payload_type);
        prop_assert_eq!((ours.remote.port(), theirs.remote.port()), (20_000, 10_000));
    }

    #[test]
    fn any_bytes_parse_or_fail(bytes: Vec<u8>) {
        let _ = SessionDescription::parse(&bytes);
    }

    #[test]
    fn any_lines_are_answered_or_refused(lines in prop::collection::vec("(m=audio [0-9]{1,6}(/2)? RTP/AVP( [0-9]{1,3}){1,3}|c=IN IP[46] [0-9:.]{1,9}|a=(rtpmap|ptime|maxptime|rtcp|fmtp):[0-9]{1,5}( [a-zA-Z/0-9]{1,9})?|[a-z]=[ -~]{0,12})", 0..12)) {
        let text = format!("v=0\r\no=- 1 2 IN IP4 192.0.2.9\r\n{}\r\n", lines.join("\r\n"));
        if let Ok(offered) = SessionDescription::parse(text.as_bytes())
            && let Ok((answered, agreed)) = answer(&offered, &[], &LOCAL, ORIGIN)
        {
            let read = SessionDescription::parse(&answered).unwrap();
            prop_assert_eq!(read.streams().count(), offered.streams().count());
            prop_assert_eq!(agreed.len(), offered.streams().count());
            prop_assert!(matches!(taken(&agreed).unwrap().1.ptime_ms, 10 | 20 | 30 | 40 | 50 | 60));
            // What we offer next has the same lines, and reads back.
            let again = SessionDescription::parse(&offer(&agreed, &LOCAL, ORIGIN)).unwrap();
            let names = |it: &SessionDescription| it.streams().map(|stream| stream.media.media.clone()).collect::<Vec<_>>();
            prop_assert_eq!(names(&again), names(&offered));
        }
    }
}
