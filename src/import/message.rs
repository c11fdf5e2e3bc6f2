//! The parts of a message that are compared: what a peer or a user would notice.

use super::report::Point;
use crate::capture::description::{self, Media};
use crate::capture::message;

/// Header fields of which it counts whether they are there.
const THERE: [&str; 4] = ["Contact", "Allow", "Session-Expires", "RSeq"];

/// Header fields whose values count.
const VALUES: [&str; 2] = ["Require", "Unsupported"];

/// A message as it is compared. Tags, branches, addresses, ports, reason phrases and all else may differ.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Described {
    status: Option<u16>,
    fields: Vec<(&'static str, Option<String>)>,
    media: Vec<Media>,
}

impl Described {
    pub fn of(message: &[u8]) -> Self {
        let status = message::status(message);
        let method = message::cseq(message).map(|(_, method)| method).unwrap_or_default();
        // Where a session or a binding is made or kept; elsewhere a Contact means nothing.
        let has_contact = !matches!(method.as_str(), "ACK" | "BYE" | "CANCEL")
            && status.is_none_or(|status| (101..300).contains(&status));
        let there = THERE.map(|name| {
            let value = message::header(message, name).filter(|_| name != "Contact" || has_contact);
            (name, value.map(|_| "there".to_owned()))
        });
        let values = VALUES.map(|name| {
            let value = message::header(message, name).map(|value| String::from_utf8_lossy(value).into_owned());
            (name, value)
        });
        Self {
            status,
            fields: there.into_iter().chain(values).collect(),
            media: description::media_of(message).into_iter().map(with_defaults).collect(),
        }
    }

    /// In what the engine's message differs from this one of the host.
    pub fn differences(&self, engine: &Self) -> Vec<Point> {
        let mut points = Vec::new();
        let mut compare = |what: &str, captured: Option<String>, engine: Option<String>| {
            if captured != engine {
                points.push(Point { what: what.to_owned(), captured, engine });
            }
        };
        compare("status", self.status.map(|it| it.to_string()), engine.status.map(|it| it.to_string()));
        for ((name, captured), (_, engine)) in self.fields.iter().zip(&engine.fields) {
            compare(name, captured.clone(), engine.clone());
        }
        for at in 0..self.media.len().max(engine.media.len()) {
            let (captured, engine) = (self.media.get(at), engine.media.get(at));
            let of = |what: &str| if at == 0 { what.to_owned() } else { format!("{what} of media {}", at + 1) };
            let name = if at == 0 { "media".to_owned() } else { format!("media {}", at + 1) };
            compare(&name, captured.map(line), engine.map(line));
            let (Some(captured), Some(engine)) = (captured, engine) else { continue };
            if !captured.is_off() && !engine.is_off() {
                compare(&of("codecs"), Some(captured.codecs()), Some(engine.codecs()));
                compare(&of("direction"), captured.direction.clone(), engine.direction.clone());
                compare(&of("ptime"), captured.ptime.clone(), engine.ptime.clone());
            }
        }
        points
    }
}

/// What is compared where a media line says nothing: 20 ms (RFC 3551 section 4.2), `sendrecv` (RFC 8866 section 6.7).
fn with_defaults(mut media: Media) -> Media {
    media.direction.get_or_insert_with(|| "sendrecv".to_owned());
    media.ptime.get_or_insert_with(|| "20".to_owned());
    media
}

fn line(media: &Media) -> String {
    format!("{}{}", media.kind, if media.is_off() { ", turned down" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(captured: &str, engine: &str) -> Vec<String> {
        let of = |text: &str| Described::of(format!("SIP/2.0 200 OK\r\n{text}").as_bytes());
        of(captured).differences(&of(engine)).iter().map(Point::to_string).collect()
    }

    #[test]
    fn media_lines_are_compared_one_by_one() {
        let audio = "\r\nv=0\r\nc=IN IP4 h\r\nm=audio 9 RTP/AVP 0 101\r\na=rtpmap:101 Telephone-Event/8000\r\n";
        let same = "\r\nc=IN IP6 g\r\na=sendrecv\r\nm=audio 7 RTP/AVP 0 96\r\na=rtpmap:96 telephone-event/8000\r\n\
                    a=rtpmap:0 pcmu/8000\r\na=ptime:20\r\n";
        assert_eq!(points(audio, same), Vec::<String>::new());
        let other = "\r\na=sendonly\r\nm=audio 9 RTP/AVP 8 18\r\na=ptime:30\r\nm=video 9 RTP/AVP 99\r\n";
        assert_eq!(
            points(audio, other),
            [
                "codecs: captured PCMU telephone-event, the engine PCMA G729",
                "direction: captured sendrecv, the engine sendonly",
                "ptime: captured 20, the engine 30",
                "media 2: captured none, the engine video",
            ]
        );
        let off = "\r\nm=audio 0 RTP/AVP 8\r\na=inactive\r\n";
        assert_eq!(points(audio, off), ["media: captured audio, the engine audio, turned down"]);
        assert_eq!(points(audio, "\r\n"), ["media: captured audio, the engine none"]);
        let second = "\r\nm=audio 9 RTP/AVP 0\r\nm=video 9 RTP/AVP 99\r\na=recvonly\r\n";
        let turned = second.replace("recvonly", "inactive");
        assert_eq!(points(second, &turned), ["direction of media 2: captured recvonly, the engine inactive"]);
    }

    #[test]
    fn fields_count_by_being_there_or_by_value() {
        let all = "Allow: INVITE\r\nm: <sip:a>\r\nx: 1800;refresher=uas\r\nRequire: timer\r\nServer: a\r\n\r\n";
        let same = all.replace("INVITE", "BYE, INVITE").replace("1800", "90").replace("Server: a", "Server: b");
        assert_eq!(points(all, &same), Vec::<String>::new());
        assert_eq!(
            points(all, "Require: 100rel\r\n\r\n"),
            [
                "Contact: captured there, the engine none",
                "Allow: captured there, the engine none",
                "Session-Expires: captured there, the engine none",
                "Require: captured timer, the engine 100rel",
            ]
        );
    }
}
