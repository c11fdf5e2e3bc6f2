//! What of a message is compared: what a peer or a user would notice.

use super::report::Point;
use crate::trace::sip;

/// Header fields of which it counts whether they are there, with their compact forms.
const THERE: [(&str, &str); 4] = [("Contact", "m"), ("Allow", "Allow"), ("Session-Expires", "x"), ("RSeq", "RSeq")];

/// Header fields whose values count.
const VALUES: [(&str, &str); 2] = [("Require", "Require"), ("Unsupported", "Unsupported")];

/// A message as it is compared. Tags, branches, addresses, ports, reason phrases and all else may differ.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Described {
    status: Option<u16>,
    fields: Vec<(&'static str, Option<String>)>,
    media: Vec<Media>,
}

/// A media line with what belongs to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Media {
    kind: String,
    is_off: bool,
    formats: Vec<String>,
    codecs: Vec<(String, String)>,
    direction: Option<String>,
    ptime: Option<String>,
}

impl Described {
    pub fn of(message: &[u8]) -> Self {
        let status = sip::status(message);
        let method = sip::cseq(message).map(|(_, method)| method).unwrap_or_default();
        // Where a session or a binding is made or kept; elsewhere a Contact means nothing.
        let has_contact = !matches!(method.as_str(), "ACK" | "BYE" | "CANCEL")
            && status.is_none_or(|status| (101..300).contains(&status));
        let there = THERE.map(|(name, compact)| {
            let value = sip::header(message, name, compact).filter(|_| name != "Contact" || has_contact);
            (name, value.map(|_| "there".to_owned()))
        });
        let values = VALUES.map(|(name, compact)| {
            let value = sip::header(message, name, compact).map(|value| String::from_utf8_lossy(value).into_owned());
            (name, value)
        });
        Self {
            status,
            fields: there.into_iter().chain(values).collect(),
            media: media_of(&String::from_utf8_lossy(sip::body(message))),
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
            compare(&name, captured.map(Media::line), engine.map(Media::line));
            let (Some(captured), Some(engine)) = (captured, engine) else { continue };
            if !captured.is_off && !engine.is_off {
                compare(&of("codecs"), Some(captured.codecs()), Some(engine.codecs()));
                compare(&of("direction"), captured.direction.clone(), engine.direction.clone());
                compare(&of("ptime"), captured.ptime.clone(), engine.ptime.clone());
            }
        }
        points
    }
}

impl Media {
    fn line(&self) -> String {
        format!("{}{}", self.kind, if self.is_off { ", turned down" } else { "" })
    }

    fn codecs(&self) -> String {
        let name = |format: &String| {
            let mapped = self.codecs.iter().find(|(mapped, _)| mapped == format).map(|(_, name)| name.clone());
            mapped.unwrap_or_else(|| static_codec(format).map_or_else(|| format.clone(), str::to_owned))
        };
        self.formats.iter().map(name).collect::<Vec<_>>().join(" ")
    }
}

/// Audio formats that need no map (RFC 3551 section 6).
fn static_codec(format: &str) -> Option<&'static str> {
    Some(match format {
        "0" => "PCMU",
        "3" => "GSM",
        "4" => "G723",
        "8" => "PCMA",
        "9" => "G722",
        "13" => "CN",
        "15" => "G728",
        "18" => "G729",
        _ => return None,
    })
}

fn media_of(body: &str) -> Vec<Media> {
    // RFC 3551 section 4.2: 20 ms where nothing is said; RFC 8866 section 6.7: sendrecv.
    let silent = Media { direction: Some("sendrecv".to_owned()), ptime: Some("20".to_owned()), ..Media::default() };
    let (mut session, mut media) = (silent, Vec::new());
    for line in body.lines() {
        if let Some(line) = line.strip_prefix("m=") {
            let mut words = line.split_ascii_whitespace();
            let kind = words.next().unwrap_or_default().to_owned();
            let is_off = words.next().is_some_and(|port| port.split('/').next() == Some("0"));
            let formats = words.skip(1).map(str::to_owned).collect();
            media.push(Media { kind, is_off, formats, ..session.clone() });
            continue;
        }
        let about = media.last_mut().unwrap_or(&mut session);
        let attribute = line.trim_end().strip_prefix("a=").unwrap_or_default();
        match attribute.split_once(':') {
            None if ["sendrecv", "sendonly", "recvonly", "inactive"].contains(&attribute) => {
                about.direction = Some(attribute.to_owned());
            }
            Some(("ptime", value)) => about.ptime = Some(value.trim().to_owned()),
            Some(("rtpmap", value)) => {
                if let Some((format, encoding)) = value.trim().split_once(' ') {
                    about.codecs.push((format.to_owned(), codec_name(encoding)));
                }
            }
            _ => {}
        }
    }
    media
}

/// Names of encodings are written in either case.
fn codec_name(encoding: &str) -> String {
    let name = encoding.split('/').next().unwrap_or_default();
    if name.contains('-') { name.to_ascii_lowercase() } else { name.to_ascii_uppercase() }
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
