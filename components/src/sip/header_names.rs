//! Which header fields are the switch's own to write.

/// Whether a header field of a plugin's may stand in a message of ours: its name is a token, and it is none that the
/// switch writes itself.
///
/// ```
/// use ringworld_components::sip::may_add_header;
/// assert!(may_add_header("Info-Package") && may_add_header("X-Note"));
/// assert!(!may_add_header("Via") && !may_add_header("l") && !may_add_header("Bad Name"));
/// ```
pub fn may_add_header(name: &str) -> bool {
    let is_token = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b));
    is_token && !OWN.iter().any(|own| name.eq_ignore_ascii_case(own))
}

/// Long and compact forms (RFC 3261 section 7.3.3).
const OWN: [&str; 18] = [
    "Via",
    "v",
    "From",
    "f",
    "To",
    "t",
    "Call-ID",
    "i",
    "CSeq",
    "Max-Forwards",
    "Route",
    "Record-Route",
    "Contact",
    "m",
    "Content-Length",
    "l",
    "Content-Type",
    "c",
];
