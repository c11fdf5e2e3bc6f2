//! How messages are made wrong: a misdeed is a change to what an otherwise correct agent is about to send.

use crate::sim::Dice;
use crate::sim::fault::Misdeed;
use crate::ua::Outbox;
use std::net::SocketAddr;

/// Applies a misdeed to what goes out.
pub(super) fn spoil(misdeed: Misdeed, out: &mut Outbox, dice: &mut Dice) {
    let honest = std::mem::take(out);
    for (hop, bytes) in honest {
        match String::from_utf8(bytes) {
            Ok(text) => spoil_one(misdeed, hop, text, out, dice),
            Err(error) => out.push((hop, error.into_bytes())),
        }
    }
}

fn spoil_one(misdeed: Misdeed, hop: SocketAddr, text: String, out: &mut Outbox, dice: &mut Dice) {
    let is = |method: &str| text.starts_with(method) && text.as_bytes().get(method.len()) == Some(&b' ');
    let answers_invite = text.starts_with("SIP/2.0 ") && cseq(&text).is_some_and(|value| value.ends_with(" INVITE"));
    let accepts = text.starts_with("SIP/2.0 200") && answers_invite;
    let is_first = is("INVITE") && !text.lines().any(|line| line.starts_with("To:") && line.contains(";tag="));
    let mut extra = Vec::new();
    let spoilt = match misdeed {
        Misdeed::SkipsAck if is("ACK") => return,
        Misdeed::StaleCseq if is("BYE") => with_line(&text, "CSeq:", Some("CSeq: 1 BYE")),
        Misdeed::WrongTag if is("BYE") => text.replacen(";tag=a", ";tag=b", 1),
        Misdeed::NoContact if is("INVITE") => with_line(&text, "Contact:", None),
        Misdeed::WrongLength if is("INVITE") || is("BYE") => {
            with_line(&text, "Content-Length:", Some("Content-Length: 9999"))
        }
        Misdeed::NoMaxForwards if is("INVITE") || is("BYE") => with_line(&text, "Max-Forwards:", None),
        Misdeed::UnknownExtension if is_first => {
            text.replacen("Max-Forwards:", "Require: teleportation\r\nMax-Forwards:", 1)
        }
        Misdeed::BrokenOffer if is("INVITE") => text.replacen("m=audio", "n=audio", 1),
        Misdeed::Merged if is_first => {
            extra.push(text.replacen("branch=z9hG4bK", "branch=z9hG4bKm", 1));
            text.clone()
        }
        Misdeed::UnknownMethod if is("OPTIONS") || is("INFO") => {
            text.replace("OPTIONS", "TELEPORT").replace("INFO", "TELEPORT")
        }
        Misdeed::Floods if is("INVITE") => {
            extra.extend(std::iter::repeat_n(text.clone(), 9));
            text.clone()
        }
        Misdeed::LateCancel if is("ACK") => {
            // The branch of the ACK is that of its INVITE and a letter.
            let cancel = text.replace("ACK", "CANCEL");
            extra.push(cancel.replacen("a;rport", ";rport", 1));
            text.clone()
        }
        Misdeed::TwoFinals if accepts => {
            let refusal = text.replacen("SIP/2.0 200 OK", "SIP/2.0 486 Busy Here", 1);
            extra.push(refusal);
            text.clone()
        }
        Misdeed::NewTag if answers_invite => {
            let mark = format!(";tag=t{:x}", dice.below(1 << 30));
            with_tag(&text, &mark)
        }
        Misdeed::NoTag if text.starts_with("SIP/2.0 ") => with_tag(&text, ""),
        _ => text.clone(),
    };
    out.push((hop, spoilt.into_bytes()));
    out.extend(extra.into_iter().map(|text| (hop, text.into_bytes())));
}

fn cseq(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("CSeq:")).map(str::trim)
}

/// The text with another line in the place of the one that begins so, or with none.
fn with_line(text: &str, begins: &str, other: Option<&str>) -> String {
    let Some(start) = text.find(&format!("\r\n{begins}")) else { return text.to_owned() };
    let rest = text.get(start + 2..).unwrap_or_default();
    let end = rest.find("\r\n").map_or(text.len(), |length| start + 2 + length);
    let line = other.map(|other| format!("\r\n{other}")).unwrap_or_default();
    format!("{}{line}{}", text.get(..start).unwrap_or_default(), text.get(end..).unwrap_or_default())
}

/// The text with another tag, or none, in To.
fn with_tag(text: &str, tag: &str) -> String {
    let lines = text.split("\r\n").map(|line| match line.split_once(";tag=") {
        Some((before, _)) if line.starts_with("To:") => format!("{before}{tag}"),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::Purpose;

    const INVITE: &str = "INVITE sip:echo@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa1.1;rport\r\n\
        Max-Forwards: 70\r\nFrom: <sip:a@h>;tag=a1\r\nTo: <sip:echo@h>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n\
        Contact: <sip:a@h>\r\nContent-Length: 10\r\n\r\nm=audio 1 ";

    fn spoilt(misdeed: Misdeed, text: &str) -> Vec<String> {
        let mut out = vec![("10.0.0.1:5060".parse().unwrap(), text.as_bytes().to_vec())];
        spoil(misdeed, &mut out, &mut Dice::new(1, Purpose::Deeds, 0));
        out.into_iter().map(|(_, bytes)| String::from_utf8(bytes).unwrap()).collect()
    }

    /// What each misdeed makes of the three kinds of messages that it could touch.
    #[test]
    fn every_misdeed_changes_something_of_an_ordinary_call() {
        let ack = INVITE.replace("INVITE", "ACK").replace("1.1;rport", "1.1a;rport");
        let bye = INVITE.replace("1 INVITE", "2 INVITE").replace("INVITE", "BYE");
        let options = INVITE.replace("INVITE", "OPTIONS");
        let ok = INVITE.replace("INVITE sip:echo@h SIP/2.0", "SIP/2.0 200 OK").replace("echo@h>", "echo@h>;tag=a9");
        for misdeed in Misdeed::ALL.into_iter().filter(|misdeed| *misdeed != Misdeed::WildRtp) {
            let changes = [INVITE, &ack, &bye, &options, &ok].iter().any(|text| spoilt(misdeed, text) != [*text]);
            assert!(changes, "{misdeed:?}");
        }
    }

    #[test]
    fn lines_and_tags_are_replaced() {
        assert!(!spoilt(Misdeed::NoContact, INVITE)[0].contains("Contact"));
        assert!(spoilt(Misdeed::WrongLength, INVITE)[0].contains("\r\nContent-Length: 9999\r\n\r\nm="));
        assert_eq!(spoilt(Misdeed::Floods, INVITE).len(), 10);
    }
}
