//! What operations send: a call to place, a request.

use crate::kernel::StableId;
use crate::record::Record;
use crate::wire::sip::Method;
use bytes::Bytes;
use std::net::SocketAddr;

/// A call to place.
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub struct PlaceCall {
    /// The caller: a SIP URI.
    pub from: String,
    /// The callee: a SIP URI.
    pub to: String,
    /// Where to send the request: the address that `to` resolved to.
    pub remote: SocketAddr,
    /// Over TCP rather than UDP.
    pub over_tcp: bool,
    /// Our address towards that peer.
    pub local: SocketAddr,
    /// The service that the call is connected to once it is answered.
    pub service: String,
    /// A session description to offer instead of our own; its media are then not handled here.
    pub sdp: Option<String>,
}

/// A request to send, of a method that does not itself begin or end a call.
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub struct SendRequest {
    /// Where it is sent.
    pub target: RequestTarget,
    /// The method. INVITE, ACK, BYE and CANCEL are refused.
    pub method: Method,
    /// Further header fields. Those that the switch writes itself are refused.
    pub headers: Vec<(String, String)>,
    /// Content type and octets.
    pub body: Option<(String, Bytes)>,
}

/// Where a request is sent.
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub enum RequestTarget {
    /// To the peer of this session, in the dialog of its selected usage.
    Session(StableId),
    /// In this dialog, outside its usages.
    Dialog(StableId),
    /// In the dialog of this subscription and as its request, so that a failure can end it (RFC 5057 section 5.1).
    Subscription(StableId),
    /// Outside any dialog.
    Address {
        /// The URI of From.
        from: String,
        /// The Request-URI and the URI of To.
        to: String,
        /// Where to send it: the address that `to` resolved to.
        remote: SocketAddr,
        /// Over TCP rather than UDP.
        over_tcp: bool,
        /// Our address towards that peer.
        local: SocketAddr,
    },
}
