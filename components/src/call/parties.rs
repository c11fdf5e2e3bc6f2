//! The parties of a session.

use crate::record::Record;
use crate::wire::sip::{Head, NameAddr, Request};
use bevy_ecs::prelude::*;
use bytes::Bytes;

/// The parties of a session, as its first INVITE names them.
#[derive(Component, Record, Clone, Debug, Default, PartialEq, Eq)]
pub struct Parties {
    /// The URI of From: the caller.
    pub from: Bytes,
    /// The display name of From; empty without one.
    pub from_display: Bytes,
    /// The URI of To.
    pub to: Bytes,
    /// The display name of To; empty without one.
    pub to_display: Bytes,
    /// The Request-URI: what is called.
    pub request_uri: Bytes,
    /// The header fields of the INVITE that plugins asked to keep ([`KeptHeaders`]), in the order of the message.
    pub headers: Vec<(String, Bytes)>,
}

impl Parties {
    /// Those of an INVITE that the peer sent, with the header fields that are to be kept; and whether some of these are
    /// left out because they are too long.
    pub fn of(request: &Request, kept: &KeptHeaders) -> (Self, bool) {
        let (from, to) = (&request.head.from, &request.head.to);
        let copy = |bytes: &Bytes| Bytes::copy_from_slice(bytes);
        let display = |of: &NameAddr| of.display.as_ref().map(copy).unwrap_or_default();
        let request_uri = copy(request.uri.as_bytes());
        let is_same = to.uri.as_bytes() == request.uri.as_bytes();
        let (headers, is_cut) = kept.take_from(&request.head);
        let parties = Self {
            from: copy(from.uri.as_bytes()),
            from_display: display(from),
            to: if is_same { request_uri.clone() } else { copy(to.uri.as_bytes()) },
            to_display: display(to),
            request_uri,
            headers,
        };
        (parties, is_cut)
    }

    /// The value of the first kept header field of a name (any case).
    pub fn header(&self, name: &str) -> Option<&Bytes> {
        self.headers.iter().find(|(kept, _)| kept.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// The names of the header fields of an INVITE that are kept with its session, as plugins asked at start-up
/// ([`SipApp::keep_header`](crate::sip::SipApp::keep_header)).
#[derive(Resource, Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptHeaders(Vec<String>);

/// The most bytes of kept header fields that one session holds; what goes beyond is left out.
const KEPT_BYTES_MAX: usize = 4096;

impl KeptHeaders {
    /// Keeps the header fields of a name (long form, any case) from now on.
    pub fn keep(&mut self, name: &str) {
        if !self.0.iter().any(|kept| kept.eq_ignore_ascii_case(name)) {
            self.0.push(name.to_owned());
        }
    }

    fn take_from(&self, head: &Head) -> (Vec<(String, Bytes)>, bool) {
        let mut left = KEPT_BYTES_MAX;
        let (mut taken, mut is_cut) = (Vec::new(), false);
        for name in &self.0 {
            for value in head.headers(name) {
                match left.checked_sub(name.len() + value.len()) {
                    Some(rest) => {
                        left = rest;
                        taken.push((name.clone(), Bytes::copy_from_slice(&value)));
                    }
                    None => is_cut = true,
                }
            }
        }
        (taken, is_cut)
    }
}
