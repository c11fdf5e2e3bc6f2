//! The identifiers that we mint: tags, branches and Call-IDs that carry the world's index and can't be guessed.

use crate::kernel::{Now, Purpose, Secret, StableId};
use bytes::Bytes;

/// RFC 3261 section 8.1.1.7.
const MAGIC_COOKIE: &str = "z9hG4bK";

/// The mark that our identifiers begin with, before two hexadecimal digits of the world's index.
const MARK: &str = "rw";

/// A tag for a From or To header field.
pub fn mint_tag(secret: &Secret, id: StableId, now: Now) -> Bytes {
    minted(secret.bits(id, now, Purpose::Tag, 0), id)
}

/// A branch for a Via header field.
pub fn mint_branch(secret: &Secret, id: StableId, now: Now) -> String {
    let bits = secret.bits(id, now, Purpose::Branch, 0);
    format!("{MAGIC_COOKIE}{MARK}{:02x}{:020x}", id.world(), bits & ((1 << 80) - 1))
}

/// A Call-ID.
pub fn mint_call_id(secret: &Secret, id: StableId, now: Now) -> Bytes {
    minted(secret.bits(id, now, Purpose::CallId, 0), id)
}

/// The index of the world that minted an identifier, if one of our worlds did.
///
/// ```
/// use ringworld_components::sip::world_of;
/// assert_eq!(world_of(b"rw03c0ffee"), Some(3));
/// assert_eq!(world_of(b"z9hG4bKrw01c0ffee"), Some(1));
/// assert_eq!(world_of(b"z9hG4bK-1234"), None);
/// ```
pub fn world_of(identifier: &[u8]) -> Option<u8> {
    let rest = identifier.strip_prefix(MAGIC_COOKIE.as_bytes()).unwrap_or(identifier);
    let digits = rest.strip_prefix(MARK.as_bytes())?.get(..2)?;
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn minted(bits: u128, id: StableId) -> Bytes {
    Bytes::from(format!("{MARK}{:02x}{:020x}", id.world(), bits & ((1 << 80) - 1)))
}
