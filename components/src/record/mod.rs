//! How a value enters and leaves a recording, a snapshot and a digest: [`Record`].
//!
//! One encoding serves all three, so what is digested is exactly what is restored. Integers of more than one byte are
//! LEB128 variable-length, so logs stay small; nothing depends on the machine.
//!
//! ```
//! use ringworld_components::record::{Decoder, Encoder, Record};
//!
//! #[derive(Record, Debug, PartialEq)]
//! struct Seat { row: u32, name: String }
//!
//! let mut bytes = Vec::new();
//! Seat { row: 7, name: "aisle".into() }.encode(&mut Encoder::new(&mut bytes));
//! assert_eq!(Seat::decode(&mut Decoder::new(&bytes)).unwrap(), Seat { row: 7, name: "aisle".into() });
//! ```

mod decode;
mod encode;
mod opaque;
mod values;

pub use decode::{DecodeError, Decoder};
pub use encode::{Encoder, Shape};
pub use opaque::{Rebuilt, Undigested};
pub use ringworld_derive::Record;

/// A value that can be encoded, decoded and described. Derive it; write it by hand only for a value whose encoding must
/// not follow its fields.
pub trait Record: Sized {
    /// Appends the value.
    fn encode(&self, to: &mut Encoder<'_>);
    /// Reads the value back. Never panics, whatever the bytes.
    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError>;
    /// Describes the encoding; two builds whose shapes agree read each other's bytes.
    fn shape(to: &mut Shape);

    /// Appends one value after the other. Bytes go at once: a snapshot is millions of them.
    fn encode_all(values: &[Self], to: &mut Encoder<'_>) {
        values.iter().for_each(|value| value.encode(to));
    }
    /// Reads that many values back.
    fn decode_all(count: usize, from: &mut Decoder<'_>) -> Result<Vec<Self>, DecodeError> {
        (0..count).map(|_| Self::decode(from)).collect()
    }
}

/// The value's encoding as bytes, for values that hold no entities.
pub fn to_bytes<T: Record>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode(&mut Encoder::new(&mut bytes));
    bytes
}

/// Reads one value and insists that nothing is left over.
pub fn from_bytes<T: Record>(bytes: &[u8]) -> Result<T, DecodeError> {
    let mut from = Decoder::new(bytes);
    let value = T::decode(&mut from)?;
    if from.remaining() == 0 { Ok(value) } else { Err(DecodeError::Trailing { bytes: from.remaining() }) }
}
