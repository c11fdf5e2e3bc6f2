//! The session description in the body of a message (RFC 8866).

use super::message::body;
use std::net::{IpAddr, SocketAddr};

/// A media line with what belongs to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Media {
    /// `audio`, `video` ...
    pub kind: String,
    /// The port; 0 if it is turned down.
    pub port: u16,
    pub formats: Vec<String>,
    /// The direction that is written down, for this line or for the session.
    pub direction: Option<String>,
    pub ptime: Option<String>,
    /// The host of the connection data, for this line or for the session.
    pub host: Option<String>,
    /// Encoding names by format.
    maps: Vec<(String, String)>,
}

/// The media lines of a message, in order; none if it has no description.
pub(crate) fn media_of(message: &[u8]) -> Vec<Media> {
    let text = String::from_utf8_lossy(body(message)).into_owned();
    let (mut session, mut media): (Media, Vec<Media>) = Default::default();
    for line in text.lines().map(str::trim_end) {
        if let Some(line) = line.strip_prefix("m=") {
            let mut words = line.split_ascii_whitespace();
            let kind = words.next().unwrap_or_default().to_owned();
            let port = words.next().and_then(|port| port.split('/').next()?.parse().ok()).unwrap_or_default();
            let formats = words.skip(1).map(str::to_owned).collect();
            media.push(Media { kind, port, formats, ..session.clone() });
            continue;
        }
        let about = media.last_mut().unwrap_or(&mut session);
        if let Some(host) = line.strip_prefix("c=").and_then(|connection| connection.split_ascii_whitespace().nth(2)) {
            about.host = Some(host.to_owned());
        }
        let attribute = line.strip_prefix("a=").unwrap_or_default();
        match attribute.split_once(':') {
            None if ["sendrecv", "sendonly", "recvonly", "inactive"].contains(&attribute) => {
                about.direction = Some(attribute.to_owned());
            }
            Some(("ptime", value)) => about.ptime = Some(value.trim().to_owned()),
            Some(("rtpmap", value)) => {
                if let Some((format, encoding)) = value.trim().split_once(' ') {
                    about.maps.push((format.to_owned(), codec_name(encoding)));
                }
            }
            _ => {}
        }
    }
    media
}

/// The first audio line.
fn audio_of(message: &[u8]) -> Option<Media> {
    media_of(message).into_iter().find(|media| media.kind == "audio")
}

impl Media {
    /// Whether it is turned down.
    pub fn is_off(&self) -> bool {
        self.port == 0
    }

    /// The names of its codecs, in the order of its formats; a format that has no name stands for itself.
    pub fn codecs(&self) -> String {
        let name = |format: &String| {
            let mapped = self.maps.iter().find(|(mapped, _)| mapped == format).map(|(_, name)| name.clone());
            mapped.unwrap_or_else(|| static_codec(format).map_or_else(|| format.clone(), str::to_owned))
        };
        self.formats.iter().map(name).collect::<Vec<_>>().join(" ")
    }

    /// Whether its sender wants to hear nothing.
    pub fn holds(&self) -> bool {
        matches!(self.direction.as_deref(), Some("sendonly" | "inactive"))
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

/// Names of encodings are written in either case.
fn codec_name(encoding: &str) -> String {
    let name = encoding.split('/').next().unwrap_or_default();
    if name.contains('-') { name.to_ascii_lowercase() } else { name.to_ascii_uppercase() }
}

/// What the description says about audio, in a few words: `sendonly, PCMU PCMA 101, 10.0.0.2:4000`.
pub(crate) fn summary(message: &[u8]) -> Option<String> {
    let audio = audio_of(message)?;
    let direction = audio.direction.as_deref().filter(|direction| *direction != "sendrecv");
    let direction = direction.map(|direction| format!("{direction}, ")).unwrap_or_default();
    let host = audio.host.as_deref().unwrap_or("?");
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    Some(format!("{direction}{}, {host}:{}", audio.codecs(), audio.port))
}

/// Whether the sender of a description wants to hear nothing; `None` without audio.
pub(crate) fn holds(message: &[u8]) -> Option<bool> {
    audio_of(message).map(|audio| audio.holds())
}

/// The RTP port of its audio.
pub(crate) fn audio_port(message: &[u8]) -> Option<u16> {
    audio_of(message).map(|audio| audio.port)
}

/// Where its sender wants its audio.
pub(crate) fn audio_address(message: &[u8]) -> Option<SocketAddr> {
    let audio = audio_of(message)?;
    let ip: IpAddr = audio.host?.parse().ok()?;
    Some(SocketAddr::new(ip, audio.port))
}

/// The payload type that it names for digits (RFC 4733).
pub(crate) fn digit_type(message: &[u8]) -> Option<u8> {
    let media = media_of(message);
    let maps = media.iter().flat_map(|media| &media.maps);
    maps.filter(|(_, name)| name == "telephone-event").find_map(|(format, _)| format.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &[u8] = b"INVITE sip:echo@h SIP/2.0\r\nCSeq: 7 INVITE\r\n\r\nv=0\r\nc=IN IP4 10.0.0.2\r\n\
        m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendonly\r\n";

    #[test]
    fn audio_is_summed_up() {
        let six = b"\r\n\r\nc=IN IP6 2001:db8::1\r\nm=audio 4000 RTP/AVP 8\r\n";
        assert_eq!(summary(six).as_deref(), Some("PCMA, [2001:db8::1]:4000"));
        assert_eq!(summary(INVITE).as_deref(), Some("sendonly, PCMU telephone-event, 10.0.0.2:4000"));
        assert_eq!(audio_address(INVITE), Some("10.0.0.2:4000".parse().unwrap()));
        assert_eq!((digit_type(INVITE), digit_type(six)), (Some(101), None));
        assert_eq!((holds(INVITE), holds(six), holds(b"")), (Some(true), Some(false), None));
        assert_eq!((audio_port(INVITE), audio_port(b"\r\n\r\nm=video 5 RTP/AVP 0\r\n")), (Some(4000), None));
    }

    #[test]
    fn what_a_line_does_not_say_the_session_says() {
        let text = b"\r\n\r\nc=IN IP4 h\r\na=inactive\r\nm=audio 1 RTP/AVP 8\r\nc=IN IP4 g\r\nm=video 0 RTP/AVP 99\r\na=recvonly\r\n";
        let [audio, video] = &media_of(text)[..] else { panic!() };
        assert_eq!((audio.host.as_deref(), audio.direction.as_deref()), (Some("g"), Some("inactive")));
        assert_eq!((video.host.as_deref(), video.direction.as_deref()), (Some("h"), Some("recvonly")));
        assert!(video.is_off() && !audio.is_off());
    }

    #[test]
    fn noise_says_nothing() {
        for noise in [&b""[..], b"\r\n\r\n", b"\r\n\r\nm=", b"\r\n\r\nm=audio", b"\r\n\r\nc=\r\na=:\r\n\xff"] {
            assert_eq!((audio_address(noise), digit_type(noise)), (None, None));
            let _ = (summary(noise), media_of(noise));
        }
    }
}
