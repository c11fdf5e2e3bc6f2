//! What a call can be connected to inside the switch.

use crate::record::Record;
use bevy_ecs::prelude::*;

/// A built-in service, or a refusal, named by the user part of a request URI.
#[derive(Component, Record, Clone, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// `echo`: the caller hears itself.
    Echo,
    /// `tone`: 440 Hz; `tone-HZ` another one.
    Tone(u16),
    /// `silence`: packets of silence, for tests.
    Silence,
    /// `conf-NAME`: a room.
    Conference(String),
    /// `ring-N`: rings N seconds, then echo.
    RingThenEcho {
        /// How long it rings.
        seconds: u16,
    },
    /// `busy` (486) and `reject-NNN`, 400 to 699: a redirection would have to say where to (RFC 3261 section 21.3).
    Reject(u16),
    /// Media are handled by the party that gave the session description.
    ExternalMedia,
}

/// Whether a call is refused with this status. A redirection (300 to 399) is none: it needs a Contact.
pub fn is_refusal(status: u16) -> bool {
    (400..700).contains(&status)
}

/// The longest name of a room, in bytes.
pub const ROOM_NAME_BYTES_MAX: usize = 64;

impl Service {
    /// Whether a user part has the form of a service, though it may name none: `reject-99`, `conf-`.
    pub fn is_reserved(user: &str) -> bool {
        ["conf-", "reject-", "ring-", "tone-"].iter().any(|prefix| user.starts_with(prefix))
    }

    /// The service that a user part names; `None` if it names none.
    ///
    /// ```
    /// use ringworld_components::call::Service;
    /// assert_eq!(Service::named("conf-lobby"), Some(Service::Conference("lobby".into())));
    /// assert_eq!(Service::named("reject-604"), Some(Service::Reject(604)));
    /// assert_eq!(Service::named("alice"), None);
    /// ```
    pub fn named(user: &str) -> Option<Self> {
        let number = |text: &str| text.parse::<u16>().ok();
        Some(match user {
            "echo" => Self::Echo,
            "tone" => Self::Tone(440),
            "silence" => Self::Silence,
            "busy" => Self::Reject(486),
            _ => {
                if let Some(name) = user.strip_prefix("conf-") {
                    let legal = !name.is_empty() && name.len() <= ROOM_NAME_BYTES_MAX;
                    return legal.then(|| Self::Conference(name.to_owned()));
                }
                if let Some(status) = user.strip_prefix("reject-").and_then(number) {
                    return is_refusal(status).then_some(Self::Reject(status));
                }
                if let Some(seconds) = user.strip_prefix("ring-").and_then(number) {
                    return Some(Self::RingThenEcho { seconds });
                }
                let hz = user.strip_prefix("tone-").and_then(number)?;
                return (50..4000).contains(&hz).then_some(Self::Tone(hz));
            }
        })
    }
}
