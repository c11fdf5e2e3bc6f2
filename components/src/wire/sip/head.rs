//! Messages, and the parts that requests and responses share.

use super::grammar::{decimal, list_items, share, trim};
use super::response::Field;
use super::{Method, NameAddr, Uri, Via};
use bytes::Bytes;
use sipx_sip::{Header, HeaderName, Headers};
use std::borrow::Cow;
use std::sync::Arc;

/// A request or a response.
#[derive(Clone, Debug)]
pub enum Message {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

impl Message {
    /// The parts that both kinds have.
    pub fn head(&self) -> &Head {
        match self {
            Self::Request(request) => &request.head,
            Self::Response(response) => &response.head,
        }
    }
}

/// A request that may be acted on.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The Request-URI: of scheme sip, sips or tel, and without header fields.
    pub uri: Uri,
    /// Headers and body.
    pub head: Head,
}

/// A response that may be acted on.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code, 100 to 699.
    pub status: u16,
    /// The reason phrase, may be empty.
    pub reason: Bytes,
    /// Headers and body.
    pub head: Head,
}

/// The parts that every message has, checked when it was parsed.
///
/// All share the message's buffer and keep it alive; detach what lives longer than the message.
#[derive(Clone, Debug)]
pub struct Head {
    /// The topmost Via.
    pub via: Via,
    /// From.
    pub from: NameAddr,
    /// To.
    pub to: NameAddr,
    /// Call-ID.
    pub call_id: Bytes,
    /// The sequence number, below 2^31.
    pub cseq: u32,
    /// The method beside it; that of the request line in a request.
    pub cseq_method: Method,
    /// Max-Forwards; absent from older senders' requests and from responses.
    pub max_forwards: Option<u8>,
    /// The first Contact.
    pub contact: Option<NameAddr>,
    /// Whether Contact is `*` (RFC 3261 section 10.2.2).
    pub contact_is_star: bool,
    /// Content-Type as written.
    pub content_type: Option<Bytes>,
    /// The body, as long as Content-Length says.
    pub body: Bytes,
    pub(crate) headers: Arc<Headers>,
    pub(crate) whole: Bytes,
}

impl Head {
    /// The first header of a name (long form, any case), folding removed.
    pub fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        self.named(name).next().map(Header::value)
    }

    /// The values of all headers of a name (long form, any case), a line each, in order; lists are not split.
    pub fn headers(&self, name: &str) -> Vec<Bytes> {
        self.named(name).map(|header| self.value(header)).collect()
    }

    /// All header fields in the order of the message: the name in its long form, and the value, folding removed.
    pub fn all_headers(&self) -> Vec<(String, Bytes)> {
        let name = |header: &Header| String::from_utf8_lossy(header.name().canonical()).into_owned();
        self.headers.iter().map(|header| (name(header), self.value(header))).collect()
    }

    /// The items of a header that is a comma-separated list, over all its lines, in order.
    pub fn list(&self, name: &str) -> Vec<Bytes> {
        let mut items = Vec::new();
        for value in self.named(name).map(|header| self.value(header)) {
            items.extend(list_items(&value).flatten().filter(|item| !item.is_empty()).map(|item| share(&value, item)));
        }
        items
    }

    /// The entries of Record-Route, each as a `name-addr`, in the order of the list.
    pub fn record_route(&self) -> Vec<Bytes> {
        self.list("Record-Route")
    }

    /// The entries of Route, each as a `name-addr`, in the order of the list.
    pub fn route(&self) -> Vec<Bytes> {
        self.list("Route")
    }

    /// All entries of Contact that are no `*`; none if one of them doesn't parse.
    pub fn contacts(&self) -> Option<Vec<NameAddr>> {
        let entries = self.list("Contact").into_iter().filter(|entry| entry.as_ref() != b"*");
        entries.map(|entry| NameAddr::parse(entry).ok()).collect()
    }

    /// The option tags of Require.
    pub fn require(&self) -> Vec<Bytes> {
        self.list("Require")
    }

    /// The option tags of Supported.
    pub fn supported(&self) -> Vec<Bytes> {
        self.list("Supported")
    }

    /// How many hops all Via headers name.
    #[cfg(test)]
    pub(super) fn via_count(&self) -> usize {
        self.headers.get_all(&HeaderName::Via).map(|header| list_items(&header.value()).count()).sum()
    }

    /// Expires in seconds; none if absent or no number; the largest number if larger than that.
    pub fn expires(&self) -> Option<u32> {
        let value = self.headers.value(&HeaderName::Expires)?;
        decimal(trim(&value)).map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX))
    }

    /// Retry-After in seconds, without its comment and parameters.
    pub fn retry_after(&self) -> Option<u32> {
        let value = self.headers.value(&HeaderName::RetryAfter)?;
        let digits = value.iter().position(|octet| !octet.is_ascii_digit()).unwrap_or(value.len());
        u32::try_from(decimal(value.get(..digits)?)?).ok()
    }

    /// The whole message as received.
    pub fn as_bytes(&self) -> &Bytes {
        &self.whole
    }

    /// A header's value, folding removed, as a share of the message where it can be.
    pub(crate) fn value(&self, header: &Header) -> Bytes {
        value_of(header, &self.whole)
    }

    /// The values of a header that a response takes over.
    pub(crate) fn echoed(&self, field: Field) -> impl Iterator<Item = Cow<'_, [u8]>> {
        let wanted = match field {
            Field::Via => HeaderName::Via,
            Field::From => HeaderName::From,
            Field::To => HeaderName::To,
            Field::CallId => HeaderName::CallId,
            Field::CSeq => HeaderName::CSeq,
            Field::RecordRoute => HeaderName::RecordRoute,
            Field::Timestamp => HeaderName::Timestamp,
        };
        self.headers.iter().filter(move |header| *header.name() == wanted).map(Header::value)
    }

    fn named(&self, name: &str) -> impl Iterator<Item = &Header> {
        self.headers.iter().filter(move |header| header.name().canonical().eq_ignore_ascii_case(name.as_bytes()))
    }
}

pub(crate) fn value_of(header: &Header, whole: &Bytes) -> Bytes {
    match header.value() {
        Cow::Borrowed(value) => share(whole, value),
        Cow::Owned(value) => Bytes::from(value),
    }
}
