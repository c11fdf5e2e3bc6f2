//! A SIP message that a phone got.

use crate::ua::Message;
use crate::ua::message::Start;
use std::fmt;

/// A SIP message as it came, for a test to look into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipText(pub String);

impl SipText {
    fn read<T>(&self, look: impl FnOnce(&Message<'_>) -> Option<T>) -> Option<T> {
        look(&Message::parse(self.0.as_bytes()).ok()?)
    }

    /// The method of a request.
    pub fn method(&self) -> Option<String> {
        self.read(|message| match message.start {
            Start::Request { method, .. } => Some(method.to_owned()),
            Start::Response { .. } => None,
        })
    }

    /// The status of a response.
    pub fn status(&self) -> Option<u16> {
        self.read(|message| match message.start {
            Start::Request { .. } => None,
            Start::Response { status, .. } => Some(status),
        })
    }

    /// The first value of a header field, by its long name.
    pub fn header(&self, name: &str) -> Option<String> {
        self.read(|message| message.header(name).map(str::to_owned))
    }

    /// The body, as text.
    pub fn body(&self) -> String {
        self.read(|message| Some(String::from_utf8_lossy(message.body).into_owned())).unwrap_or_default()
    }
}

impl fmt::Display for SipText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
