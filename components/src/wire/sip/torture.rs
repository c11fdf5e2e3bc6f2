//! The cases of RFC 4475, section by section, each written anew from what the section says about it.

use super::{Limits, Message, Method, Scheme, cancelled_invite_key, parse_datagram, server_key};
use bytes::Bytes;

/// A request whose lines can be swapped: what stands in `with` replaces the line of the same name, or is added; a name
/// without a value removes the line.
fn request(start: &str, with: &[&str]) -> String {
    let method = start.split(' ').next().unwrap();
    let cseq = format!("CSeq: 8 {method}");
    let mut lines = vec![
        "Via: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bKt0rture",
        "Max-Forwards: 70",
        "From: <sip:caller@example.net>;tag=134161461246",
        "To: <sip:user@example.com>",
        "Call-ID: torture.0ha0isndaksdj@192.0.2.1",
        &cseq,
        "Contact: <sip:caller@host.example.net>",
        "Content-Length: 0",
    ];
    for line in with {
        let name = line.split(':').next().unwrap();
        let same =
            |other: &str| other.split(':').next().is_some_and(|other| other.trim().eq_ignore_ascii_case(name.trim()));
        let position = lines.iter().position(|other| same(other)).filter(|_| !line.starts_with('+'));
        match (position, line.ends_with("!gone")) {
            (Some(at), true) => drop(lines.remove(at)),
            (Some(at), false) => lines[at] = line,
            (None, _) => lines.push(line.strip_prefix('+').unwrap_or(line)),
        }
    }
    format!("{start}\r\n{}\r\n\r\n", lines.join("\r\n"))
}

fn parse(text: &str) -> Result<Message, (u16, String)> {
    let source = "192.0.2.2:5060".parse().unwrap();
    parse_datagram(Bytes::copy_from_slice(text.as_bytes()), &Limits::default()).map_err(|malformed| {
        match malformed.response {
            Some(refusal) => {
                let response = refusal.write(source, "t");
                assert!(response.starts_with(format!("SIP/2.0 {} ", refusal.status).as_bytes()));
                (refusal.status, malformed.reason.as_str().to_owned())
            }
            None => (0, malformed.reason.as_str().to_owned()),
        }
    })
}

fn good(text: &str) -> super::Request {
    match parse(text) {
        Ok(Message::Request(request)) => request,
        other => panic!("{text}: {other:?}"),
    }
}

const OPTIONS: &str = "OPTIONS sip:user@example.com SIP/2.0";
const INVITE: &str = "INVITE sip:user@example.com SIP/2.0";
const REGISTER: &str = "REGISTER sip:example.com SIP/2.0";

#[test]
fn wsinv_3_1_1_1_a_short_tortuous_invite() {
    let text = "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0\r\nTO :\r\n sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n\r\n\
        from   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8\r\nMaX-fOrWaRdS: 0068\r\n\
        Call-ID: wsinv.ndaksdj@192.0.2.1\r\nContent-Length   : 150\r\ncseq: 0009\r\n  INVITE\r\nVia  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390skdjuw\r\n\
        s :\r\nNewFangledHeader:   newfangled value\r\n continued newfangled value\r\nUnknownHeaderWithUnusualValue: ;;,,;;,;\r\n\
        Content-Type: application/sdp\r\nRoute:\r\n <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\r\n\
        v:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n  branch  =   z9hG4bK9ikj8  ,\r\n SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n z9hG4bK30239\r\n\
        m:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =\r\n      newvalue ;\r\n  secondparam ; q = 0.33\r\n\r\n";
    let request = good(&format!("{text}{}", "x".repeat(150)));
    let head = &request.head;
    assert_eq!(
        (head.to.tag.clone().unwrap(), head.from.tag.clone().unwrap()),
        ("1918181833n".into(), "98asjd8".into())
    );
    assert_eq!((head.cseq, head.max_forwards, head.via_count(), head.body.len()), (9, Some(68), 3, 150));
    assert_eq!(head.from.display.clone().unwrap(), "J Rosenberg \\\"");
    assert_eq!((head.via.branch.clone().unwrap(), head.via.has_magic_cookie()), ("390skdjuw".into(), false));
    assert_eq!(head.contact.as_ref().unwrap().param("q").unwrap(), "0.33");
    assert_eq!(head.route(), ["<sip:services.example.com;lr;unknownwith=value;unknown-no-value>"]);
}

#[test]
fn intmeth_3_1_1_2_a_wide_range_of_characters() {
    let start = "!interesting-Method0123456789_*+`.%indeed'~ sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com SIP/2.0";
    let to = "To: \"BEL:\\\u{7} NUL:\\\u{0} DEL:\\\u{7f}\" <sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com>";
    let from = "From: token1~` token2'+_ token3*%!.- <sip:mundane@example.com>;fromParam''~+*_!.-%=\"\u{440}\u{430}\";tag=_token~1'+`*%!-.";
    let request = good(&request(start, &[to, from, "extensionHeader-!.%*+_`'~:\u{fe}"]));
    assert_eq!(request.method.as_str(), "!interesting-Method0123456789_*+`.%indeed'~");
    assert_eq!(request.uri.user().unwrap(), "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*");
    assert_eq!(request.head.from.tag.clone().unwrap(), "_token~1'+`*%!-.");
    assert_eq!(request.head.to.display.clone().unwrap(), "BEL:\u{7} NUL:\u{0} DEL:\u{7f}");
}

#[test]
fn escapes_3_1_1_3_to_3_1_1_5() {
    let esc01 = good(&request("INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0", &[]));
    assert_eq!((esc01.uri.user().unwrap(), esc01.uri.host()), ("sips:user@example.com".into(), "example.net".into()));
    let escnull =
        good(&request(REGISTER, &["To: sip:null-%00-null@example.com", "Contact: <sip:%00@host5.example.com>"]));
    assert_eq!(escnull.head.to.uri.user().unwrap(), b"null-\0-null".as_slice());
    assert_eq!(escnull.head.contact.unwrap().uri.user().unwrap(), b"\0".as_slice());
    let esc02 = good(&request(
        "RE%47IST%45R sip:registrar.example.com SIP/2.0",
        &["C%6Fntact: <sip:alias2@host2.example.com>"],
    ));
    assert_eq!(esc02.method, Method::Other("RE%47IST%45R".into()), "a percent sign in a method escapes nothing");
    assert_eq!(esc02.head.headers("Contact").len(), 1, "nor does one in a header name");
}

#[test]
fn well_formed_oddities_3_1_1_6_to_3_1_1_13() {
    let lwsdisp = good(&request(OPTIONS, &["From: caller<sip:caller@example.com>;tag=323"]));
    assert_eq!(lwsdisp.head.from.display.unwrap(), "caller");
    let long = "a".repeat(500);
    let longreq = good(&request(
        INVITE,
        &[
            &format!("Unknown-{long}: {long}"),
            &format!("To: \"{long}\" <sip:{long}@h;{long}={long}>;{long}"),
            "+Via: SIP/2.0/TCP a, SIP/2.0/TCP b",
        ],
    ));
    assert_eq!((longreq.head.via_count(), longreq.head.to.uri.user().unwrap().len()), (3, 500));
    let dblreq = good(&format!("{}{}", request(REGISTER, &[]), request(INVITE, &[])));
    assert_eq!((dblreq.method, dblreq.head.body.len()), (Method::Register, 0));
    let semiuri = good(&request("OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0", &[]));
    assert_eq!((semiuri.uri.user().unwrap(), semiuri.uri.param("par")), ("user;par=u@example.net".into(), None));
    for transport in ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"] {
        let via = format!("Via: SIP/2.0/{transport} t1.example.com;branch=z9hG4bKkdjuw");
        assert_eq!(good(&request(OPTIONS, &[&via])).head.via.transport, transport);
    }
    for (line, reason) in
        [("SIP/2.0 200 = 2**3 * 5**2 \u{43d}\u{43e}", "= 2**3 * 5**2 \u{43d}\u{43e}"), ("SIP/2.0 100 ", "")]
    {
        let text = request(INVITE, &[]).replacen(INVITE, line, 1);
        let Ok(Message::Response(response)) = parse(&text) else { panic!("{line}") };
        assert_eq!(response.reason, reason);
    }
}

#[test]
fn invalid_messages_3_1_2() {
    let cases: &[(&str, String, (u16, &str))] = &[
        (
            "badinv01",
            request(INVITE, &["Via: SIP/2.0/UDP 192.0.2.15;;,;,,", "Contact: \"Joe\" <sip:joe@example.org>;;;;"]),
            (400, "via_bad"),
        ),
        ("clerr", request(INVITE, &["Content-Length: 9999"]), (400, "body_truncated")),
        ("ncl", request(INVITE, &["Content-Length: -999"]), (400, "content_length")),
        (
            "scalar02",
            request(REGISTER, &["CSeq: 36893488147419103232 REGISTER", "Max-Forwards: 300"]),
            (400, "cseq_bad"),
        ),
        ("scalar02/2", request(REGISTER, &["Max-Forwards: 300"]), (400, "max_forwards_bad")),
        ("scalar02/3", request(REGISTER, &["CSeq: 2147483648 REGISTER"]), (400, "cseq_bad")),
        ("quotbal", request(INVITE, &["To: \"Mr. J. User <sip:j.user@example.com>"]), (400, "to_bad")),
        ("ltgtruri", request("INVITE <sip:user@example.com> SIP/2.0", &[]), (400, "request_uri")),
        ("lwsruri", request("INVITE sip:user@example.com; lr SIP/2.0", &[]), (400, "start_line")),
        ("lwsstart", request("INVITE  sip:user@example.com  SIP/2.0", &[]), (400, "start_line")),
        ("trws", request("OPTIONS sip:user@example.com SIP/2.0  ", &[]), (400, "start_line")),
        (
            "escruri",
            request("INVITE sip:user@example.com?Route=%3Csip:example.com%3E SIP/2.0", &[]),
            (400, "request_uri_headers"),
        ),
        (
            "regbadct",
            request(REGISTER, &["Contact: sip:user@example.com?Route=%3Csip:sip.example.com%3E"]),
            (400, "contact_bad"),
        ),
        ("badaspec", request(OPTIONS, &["To: \"Watson, Thomas\" < sip:t.watson@example.org >"]), (400, "to_bad")),
        ("baddn", request(OPTIONS, &["From: Bell, Alexander <sip:a.g.bell@example.com>;tag=43"]), (400, "from_bad")),
        (
            "badvers",
            request("OPTIONS sip:user@example.com SIP/7.0", &["Via: SIP/7.0/UDP c.example.com;branch=z9hG4bKkdjuw"]),
            (505, "version"),
        ),
        ("mismatch01", request(OPTIONS, &["CSeq: 8 INVITE"]), (400, "cseq_method")),
        ("mismatch02", request("NEWMETHOD sip:user@example.com SIP/2.0", &["CSeq: 8 INVITE"]), (400, "cseq_method")),
        ("bigcode", request(INVITE, &[]).replacen(INVITE, "SIP/2.0 4294967301 better not break", 1), (0, "status")),
        (
            "scalarlg",
            request(INVITE, &["CSeq: 9292394834772304023312 OPTIONS"]).replacen(
                INVITE,
                "SIP/2.0 503 Service Unavailable",
                1,
            ),
            (0, "cseq_bad"),
        ),
    ];
    for (name, text, (status, reason)) in cases {
        assert_eq!(parse(text).err(), Some((*status, (*reason).to_owned())), "{name}");
    }
    // A date that is no date doesn't keep the rest from being understood.
    good(&request(INVITE, &["Date: Fri, 01 Jan 2010 16:00:00 EST"]));
}

#[test]
fn application_layer_3_3() {
    for (missing, reason) in
        [("Call-ID", "call_id_missing"), ("From", "from_missing"), ("To", "to_missing"), ("CSeq", "cseq_missing")]
    {
        let text = request(INVITE, &[&format!("{missing}:!gone")]);
        let malformed = parse_datagram(text.into(), &Limits::default()).unwrap_err();
        let response = malformed.response.unwrap().write("192.0.2.2:5060".parse().unwrap(), "t");
        assert!(response.starts_with(format!("SIP/2.0 400 Missing {missing}\r\n").as_bytes()), "{missing}");
        assert_eq!(malformed.reason.as_str(), reason);
    }
    assert_eq!(parse(&request(INVITE, &["Via:!gone"])).err(), Some((0, "via_missing".into())), "nowhere to answer to");
    let unkscm = parse(&request("OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0", &[]));
    assert_eq!(unkscm.err(), Some((416, "uri_scheme".into())));
    let novelsc = parse(&request("OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0", &[]));
    assert_eq!(novelsc.err(), Some((416, "uri_scheme".into())));
    let unksm2 = good(&request(REGISTER, &["To: isbn:2983792873", "From: <http://www.example.com>;tag=3234233"]));
    assert_eq!((unksm2.head.to.uri.scheme(), unksm2.head.from.tag.unwrap()), (Scheme::Other, "3234233".into()));
    let bext01 = good(&request(OPTIONS, &["Require: nothingSupportsThis, nothingSupportsThisEither"]));
    assert_eq!(bext01.head.require(), ["nothingSupportsThis", "nothingSupportsThisEither"]);
    let invut = good(&request(INVITE, &["Content-Type: application/unknownformat", "Content-Length:!gone"]));
    assert_eq!(invut.head.content_type.unwrap(), "application/unknownformat");
    for (name, twice) in [
        ("from", "+From: <sip:x@y>;tag=2"),
        ("to", "+t: <sip:x@y>"),
        ("call_id", "+i: 2"),
        ("cseq", "+CSeq: 5 INVITE"),
        ("max_forwards", "+Max-Forwards: 5"),
        ("content_length", "+l: 0"),
    ] {
        assert_eq!(parse(&request(INVITE, &[twice])).err(), Some((400, format!("{name}_twice"))));
    }
    let types = request(INVITE, &["Content-Type: a/b", "+c: c/d"]);
    assert_eq!(parse(&types).err(), Some((400, "content_type_twice".into())));
    // A response that claims to be broadcast parses; that it matches nothing is found later.
    let bcast =
        request(INVITE, &["Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923"]).replacen(INVITE, "SIP/2.0 200 OK", 1);
    assert!(matches!(parse(&bcast), Ok(Message::Response(_))));
    assert_eq!(good(&request(OPTIONS, &["Max-Forwards: 0"])).head.max_forwards, Some(0));
}

#[test]
fn inv2543_3_4_1_a_request_of_the_old_days() {
    let with = [
        "Via: SIP/2.0/UDP iftgw.example.com",
        "Max-Forwards:!gone",
        "Content-Length:!gone",
        "Contact:!gone",
        "From: <sip:+1@iftgw.example.com;user=phone>",
    ];
    let invite = good(&request(INVITE, &with));
    assert_eq!(
        (invite.head.max_forwards, invite.head.from.tag.clone(), invite.head.via.branch.clone()),
        (None, None, None)
    );
    let cancel = good(&request("CANCEL sip:user@example.com SIP/2.0", &with));
    assert_eq!(server_key(&invite, 1), cancelled_invite_key(&cancel, 1));
}

#[test]
fn more_that_is_refused() {
    for (with, reason) in [
        ("Call-ID: a b", "call_id_bad"),
        ("Call-ID: ", "call_id_bad"),
        ("CSeq: 8", "cseq_bad"),
        ("CSeq: -8 INVITE", "cseq_bad"),
        ("CSeq: 8 IN@VITE", "cseq_bad"),
        ("From: sip:caller@example.net;tag=", "from_bad"),
        ("Record-Route: sip:p@q", "route_bad"),
        ("Route: <sip:p>, <sip:q", "route_bad"),
        ("Contact: <sip:a@b", "contact_bad"),
        ("Max-Forwards: x", "max_forwards_bad"),
        ("no colon", "header_line"),
        ("bad name: x", "header_line"),
        ("X: a\nb", "header_line"),
        ("X: a\rb", "header_line"),
    ] {
        assert_eq!(parse(&request(INVITE, &[with])).err(), Some((400, reason.to_owned())), "{with}");
    }
    let ack = request("ACK sip:user@example.com SIP/2.0", &["Call-ID:!gone"]);
    assert_eq!(parse(&ack).err(), Some((0, "call_id_missing".into())), "an ACK is never answered");
    let endless = request(INVITE, &[]).replace("\r\n\r\n", "");
    assert_eq!(parse(&endless).err(), Some((400, "unterminated".into())));
    assert_eq!(parse("\u{1}\u{2}\u{3}").err(), Some((0, "unterminated".into())));
    assert_eq!(parse("GET / HTTP/1.1\r\nHost: x\r\n\r\n").err().map(|(status, _)| status), Some(0));
    good(&request("INVITE tel:+12015550123 SIP/2.0", &[]));
}
