//! SIP and SDP as text: what tests look for in messages, and the descriptions that peers written by hand send.

use std::net::SocketAddr;

/// The status of a response's text; 0 of a request.
pub fn status(text: &str) -> u16 {
    text.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)).and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// The statuses of several responses, in order.
pub fn statuses(answers: &[String]) -> Vec<u16> {
    answers.iter().map(|answer| status(answer)).collect()
}

/// The value of the first header field of that name.
pub fn header<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

/// The tag of a From or To value.
pub fn tag(value: &str) -> Option<&str> {
    value.split(";tag=").nth(1).map(|rest| rest.split(';').next().unwrap_or(rest))
}

/// The port of the audio stream in a message or a description, if there is one.
pub fn find_audio_port(text: &str) -> Option<u16> {
    let media = text.lines().find_map(|line| line.strip_prefix("m=audio "))?;
    media.split(' ').next().and_then(|port| port.parse().ok())
}

/// The port of the audio stream in a message or a description.
pub fn audio_port(text: &str) -> u16 {
    find_audio_port(text).expect("an audio line")
}

/// The address that a description names for its audio.
pub fn audio_of(text: &str) -> SocketAddr {
    let ip = text.lines().find_map(|line| line.strip_prefix("c=IN IP")).expect("a connection line");
    let ip = ip.split(' ').nth(1).and_then(|ip| ip.parse().ok()).expect("an address");
    SocketAddr::new(ip, audio_port(text))
}

/// A description of one audio stream at this address; without a direction if there is none. `formats` are payload types, as
/// in `0 8 101`.
pub fn sdp(audio: SocketAddr, formats: &str, direction: &str) -> String {
    sdp_of((1, 1), audio, formats, direction)
}

/// As [`sdp`], of this session in this version.
pub fn sdp_of((session, version): (u32, u32), audio: SocketAddr, formats: &str, direction: &str) -> String {
    let family = if audio.is_ipv4() { "IP4" } else { "IP6" };
    let (ip, port) = (audio.ip(), audio.port());
    let digits = if formats.ends_with("101") { "a=rtpmap:101 telephone-event/8000\r\n" } else { "" };
    let direction = if direction.is_empty() { String::new() } else { format!("a={direction}\r\n") };
    format!(
        "v=0\r\no=- {session} {version} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP {formats}\r\n{digits}{direction}"
    )
}
