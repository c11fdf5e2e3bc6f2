//! Why bytes are not a message that may be acted on.

use super::Refusal;
use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $label:literal, $status:literal $phrase:literal;)*) => {
        /// The reason why bytes are not a message that may be acted on; each makes a good counter.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum MalformedReason { $($(#[$doc])* $name,)* }

        impl MalformedReason {
            /// Every reason, in order.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// A label for a counter.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }

            /// The status and phrase that a request with this fault is answered with.
            pub fn answer(self) -> (u16, &'static str) {
                match self { $(Self::$name => ($status, $phrase),)* }
            }
        }
    };
}

reasons! {
    /// Nothing but line ends: a keep-alive (RFC 5626), or an empty datagram.
    KeepAlive = "keep_alive", 400 "Bad Request";
    /// The first line is neither a request line nor a status line.
    StartLine = "start_line", 400 "Bad Request Line";
    /// The Request-URI doesn't parse.
    RequestUri = "request_uri", 400 "Bad Request-URI";
    /// The Request-URI carries header fields.
    RequestUriHeaders = "request_uri_headers", 400 "Header Fields in Request-URI";
    /// The Request-URI is of an unknown scheme.
    UriScheme = "uri_scheme", 416 "Unsupported URI Scheme";
    /// The Request-URI asks for TLS, which is not supported: to go on in the clear would be worse than to refuse.
    UriNeedsTls = "uri_needs_tls", 416 "TLS Not Supported";
    /// Requests of a new dialog, or to a new binding, would have to go over TLS from here (RFC 3261 section 8.1.1.8).
    ContactNeedsTls = "contact_needs_tls", 400 "TLS Contact Not Supported";
    /// The version is not SIP/2.0.
    Version = "version", 505 "Version Not Supported";
    /// A response's status is no number from 100 to 699.
    Status = "status", 400 "Bad Request";
    /// A header line doesn't parse.
    HeaderLine = "header_line", 400 "Bad Header Line";
    /// No empty line ends the headers.
    Unterminated = "unterminated", 400 "Headers Not Terminated";
    /// The message is larger than the limit.
    TooLarge = "too_large", 513 "Message Too Large";
    /// More header lines than the limit.
    TooManyHeaders = "too_many_headers", 513 "Too Many Header Fields";
    /// A header line longer, or in more pieces, than the limit.
    HeaderTooLong = "header_too_long", 513 "Header Field Too Long";
    /// Content-Length is not a number.
    ContentLength = "content_length", 400 "Bad Content-Length";
    /// Content-Length twice.
    ContentLengthTwice = "content_length_twice", 400 "Duplicate Content-Length";
    /// No Content-Length on a stream.
    ContentLengthMissing = "content_length_missing", 400 "Missing Content-Length";
    /// The body is shorter than Content-Length.
    BodyTruncated = "body_truncated", 400 "Body Shorter Than Content-Length";
    /// No Via.
    ViaMissing = "via_missing", 400 "Missing Via";
    /// The topmost Via doesn't parse.
    ViaBad = "via_bad", 400 "Bad Via";
    /// No From.
    FromMissing = "from_missing", 400 "Missing From";
    /// From doesn't parse.
    FromBad = "from_bad", 400 "Bad From";
    /// From twice.
    FromTwice = "from_twice", 400 "Duplicate From";
    /// No To.
    ToMissing = "to_missing", 400 "Missing To";
    /// To doesn't parse.
    ToBad = "to_bad", 400 "Bad To";
    /// To twice.
    ToTwice = "to_twice", 400 "Duplicate To";
    /// No Call-ID.
    CallIdMissing = "call_id_missing", 400 "Missing Call-ID";
    /// Call-ID is empty or holds blanks.
    CallIdBad = "call_id_bad", 400 "Bad Call-ID";
    /// Call-ID twice.
    CallIdTwice = "call_id_twice", 400 "Duplicate Call-ID";
    /// No CSeq.
    CSeqMissing = "cseq_missing", 400 "Missing CSeq";
    /// CSeq doesn't parse, or its number is not below 2^31.
    CSeqBad = "cseq_bad", 400 "Bad CSeq";
    /// CSeq twice.
    CSeqTwice = "cseq_twice", 400 "Duplicate CSeq";
    /// The method of CSeq is not the request's.
    CSeqMethod = "cseq_method", 400 "CSeq Method Mismatch";
    /// Max-Forwards is no number up to 255.
    MaxForwardsBad = "max_forwards_bad", 400 "Bad Max-Forwards";
    /// Max-Forwards twice.
    MaxForwardsTwice = "max_forwards_twice", 400 "Duplicate Max-Forwards";
    /// Contact doesn't parse.
    ContactBad = "contact_bad", 400 "Bad Contact";
    /// Content-Type twice.
    ContentTypeTwice = "content_type_twice", 400 "Duplicate Content-Type";
    /// Route or Record-Route doesn't parse.
    RouteBad = "route_bad", 400 "Bad Route";
}

impl fmt::Display for MalformedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Bytes that are not a message that may be acted on: to be counted, and answered where an answer is due.
#[derive(Debug, Clone)]
pub struct Malformed {
    /// Why.
    pub reason: MalformedReason,
    /// What answers it: only for a request other than ACK that says where it came from. All else is dropped.
    pub response: Option<Box<Refusal>>,
}

impl Malformed {
    /// A fault that is never answered.
    pub(crate) fn silent(reason: MalformedReason) -> Self {
        Self { reason, response: None }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed message: {}", self.reason)
    }
}

impl std::error::Error for Malformed {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn labels_differ_and_answers_are_failures() {
        let labels: BTreeSet<_> = MalformedReason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(labels.len(), MalformedReason::ALL.len());
        assert!(MalformedReason::ALL.iter().all(|reason| (400..600).contains(&reason.answer().0)));
    }
}
