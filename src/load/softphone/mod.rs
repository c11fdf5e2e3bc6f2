//! One call from the terminal: calls, sends a tone and digits, listens, and returns the result.

mod ear;
mod failure;
mod sound;
mod talk;
mod wire;

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::clock;
use crate::ua::G711;
use crate::ua::write::uri_parts;
pub use failure::Failure;
use talk::Talk;

/// The longest call, in seconds.
const LONGEST_S: u64 = 3_600;

/// What to call and what to do in the call.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `sip:user@host[:port][;transport=tcp]`; the scheme may be left out.
    pub uri: String,
    /// The address shown to the other side.
    pub from: Option<String>,
    /// How long to stay after the answer; longer if digits or the file that is played need it.
    pub seconds: u64,
    /// The tone to send; silence without.
    pub tone_hz: Option<u16>,
    /// The WAV file to play once: 8,000 samples a second, one channel, 16 bits. Silence follows it.
    pub play: Option<PathBuf>,
    /// Digits to send, half a second after the answer.
    pub dtmf: String,
    /// The tone that must be heard.
    pub expect_tone_hz: Option<u16>,
    /// Where to write what was heard.
    pub hear: Option<PathBuf>,
    /// How long it may ring.
    pub ring_limit: Duration,
    /// Laws to offer, by preference.
    pub laws: Vec<G711>,
    /// Hangs up when set.
    pub stop: Option<Arc<AtomicBool>>,
}

impl Settings {
    /// A call of five seconds that sends no audio and expects none.
    pub fn new(uri: impl Into<String>) -> Settings {
        Settings {
            uri: uri.into(),
            from: None,
            seconds: 5,
            tone_hz: None,
            play: None,
            dtmf: String::new(),
            expect_tone_hz: None,
            hear: None,
            ring_limit: Duration::from_secs(60),
            laws: vec![G711::Pcmu, G711::Pcma],
            stop: None,
        }
    }
}

/// What happens during a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Calling(SocketAddr),
    /// A provisional response, by its status.
    Ringing(u16),
    Answered {
        after: Duration,
        law: G711,
    },
    /// A digit came from the other side.
    DigitHeard(char),
    /// The other side holds the call, or takes it back.
    Held(bool),
    HungUpByOther,
}

/// An answered call that went as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    pub setup: Duration,
    pub law: G711,
    pub packets_sent: u64,
    pub packets_received: u64,
    pub packets_lost: u64,
    /// How much sound arrived (pauses included).
    pub heard: Duration,
    pub digits_heard: String,
    pub hung_up_by_other: bool,
}

/// Places the call and returns when it is over.
///
/// ```
/// use ringworld::load::softphone::{Settings, call};
/// use ringworld::load::{Answerer, Behaviour};
///
/// let answerer = Answerer::start("127.0.0.1:0".parse().unwrap(), Behaviour::Echo, None).unwrap();
/// let uri = format!("sip:echo@{}", answerer.address());
/// let settings = Settings { seconds: 1, tone_hz: Some(500), expect_tone_hz: Some(500), ..Settings::new(uri) };
/// let conversation = call(&settings, |_| ()).unwrap();
/// assert!(conversation.packets_received > 40);
/// ```
pub fn call(settings: &Settings, on_event: impl FnMut(Event)) -> Result<Conversation, Failure> {
    let uri = checked_uri(&settings.uri)?;
    let from = settings.from.as_deref().map(checked_uri).transpose()?;
    if settings.seconds > LONGEST_S {
        return Err(Failure::BadSetting("a call may last an hour at most (3600 seconds)"));
    }
    if [settings.tone_hz, settings.expect_tone_hz].iter().flatten().any(|hz| !(50..=3_900).contains(hz)) {
        return Err(Failure::BadSetting("a tone must be between 50 and 3900 Hz"));
    }
    if settings.tone_hz.is_some() && settings.play.is_some() {
        return Err(Failure::BadSetting("either a tone or a file can be sent"));
    }
    let sound = settings.play.as_deref().map(sound::read).transpose()?;
    if settings.laws.is_empty() {
        return Err(Failure::BadSetting("no codec to offer"));
    }
    let (to, reliable) = resolve(&uri)?;
    let talk = Talk::begin(settings, (uri, from), (to, reliable), sound, on_event)?;
    talk.run()
}

/// A URI that can be used in a message: with its scheme, without anything that could end the header.
fn checked_uri(text: &str) -> Result<String, Failure> {
    let is_sips = text.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("sips:"));
    let mut parameters = text.split(['?', '>']).next().unwrap_or_default().split(';').skip(1);
    if is_sips || parameters.any(|parameter| parameter.eq_ignore_ascii_case("transport=tls")) {
        return Err(Failure::NeedsTls(text.to_owned()));
    }
    let has_scheme = text.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("sip:"));
    let uri = if has_scheme { text.to_owned() } else { format!("sip:{text}") };
    let illegal = |c: char| c.is_control() || c.is_whitespace() || "<>\"".contains(c);
    if uri.contains(illegal) || uri_parts(&uri).is_none() {
        return Err(Failure::BadUri(text.to_owned()));
    }
    Ok(uri)
}

fn resolve(uri: &str) -> Result<(SocketAddr, bool), Failure> {
    let parts = uri_parts(uri).ok_or_else(|| Failure::BadUri(uri.to_owned()))?;
    let failed = |error| Failure::Resolve { host: parts.host.to_owned(), error };
    let mut addresses = (parts.host, parts.port.unwrap_or(5060)).to_socket_addrs().map_err(failed)?;
    let first = addresses.next().ok_or_else(|| failed(std::io::ErrorKind::NotFound.into()))?;
    Ok((first, parts.reliable))
}

/// A number that two calls hardly share.
fn unique() -> u64 {
    getrandom::u64().unwrap_or_else(|_| clock::now())
}

#[cfg(test)]
mod tests;
