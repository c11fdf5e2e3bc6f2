//! SIP messages (RFC 3261): parse, inspect, answer, write, and the keys by which transactions and dialogs are found.
//!
//! ```
//! use ringworld_components::wire::sip::{Limits, Message, ResponseTemplate, parse_datagram};
//!
//! let datagram = "OPTIONS sip:echo@192.0.2.1 SIP/2.0\r\n\
//!     Via: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK77;rport\r\n\
//!     From: <sip:alice@example.com>;tag=1\r\nTo: <sip:echo@192.0.2.1>\r\n\
//!     Call-ID: 1@example.com\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
//! let Ok(Message::Request(request)) = parse_datagram(datagram.into(), &Limits::default()) else { panic!() };
//! assert_eq!(request.uri.user().unwrap(), "echo");
//!
//! let head = ResponseTemplate::of(&request, "203.0.113.5:49152".parse().unwrap());
//! let response = head.write(200, "OK", Some("99"), false, &[("Allow", "OPTIONS")], None);
//! assert!(response.starts_with(b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bK77;rport=49152;received=203.0.113.5\r\n"));
//! ```

mod address;
mod body;
mod framer;
mod grammar;
mod head;
mod host;
mod keys;
mod malformed;
mod method;
mod parse;
mod phrases;
mod refusal;
mod request;
mod response;
#[cfg(test)]
mod torture;
mod uri;
mod uri_match;
mod via;
mod warning;

pub use address::{BadAddress, NameAddr};
pub use body::{BodyRefusal, SESSION_BODIES, is_of_type};
pub use framer::{FramingError, StreamFramer};
pub use head::{Head, Message, Request, Response};
pub use keys::{cancelled_invite_key, client_key, dialog_key, merge_key, server_key};
pub use malformed::{Malformed, MalformedReason};
pub use method::Method;
pub use parse::{Limits, parse_datagram};
pub use phrases::reason_phrase;
pub use refusal::Refusal;
pub use request::OutgoingRequest;
pub use response::{ResponseTemplate, response_target};
pub use uri::{BadUri, Scheme, Uri};
pub use via::Via;
pub use warning::Warning;
