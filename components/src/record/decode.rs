//! Reading values.

use std::fmt;

/// Why bytes are not a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecodeError {
    /// The bytes end inside a value.
    Truncated,
    /// A number does not fit its type.
    Range,
    /// Text is not UTF-8.
    Utf8,
    /// An enum has no such variant.
    Variant {
        /// The enum.
        of: &'static str,
        /// The position found.
        found: u64,
    },
    /// Bytes are left over after the value.
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// An entity is named that the world does not hold.
    Entity {
        /// The stable id.
        id: u64,
    },
    /// The value is well formed but not a legal one.
    Invalid(&'static str),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the bytes end inside a value"),
            Self::Range => f.write_str("a number does not fit its type"),
            Self::Utf8 => f.write_str("text is not UTF-8"),
            Self::Variant { of, found } => write!(f, "{of} has no variant {found}"),
            Self::Trailing { bytes } => write!(f, "{bytes} bytes are left over after the value"),
            Self::Entity { id } => write!(f, "no entity has the stable id {id:#x}"),
            Self::Invalid(what) => write!(f, "not a legal value: {what}"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Where values are read from.
pub struct Decoder<'a> {
    bytes: &'a [u8],
    entity_of: Option<&'a dyn Fn(u64) -> Option<u64>>,
}

impl<'a> Decoder<'a> {
    /// A decoder for values that hold no entities.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, entity_of: None }
    }

    /// A decoder that finds an entity's bits by its stable id through `entity_of`.
    pub fn with_entities(bytes: &'a [u8], entity_of: &'a dyn Fn(u64) -> Option<u64>) -> Self {
        Self { bytes, entity_of: Some(entity_of) }
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// One byte.
    pub fn byte(&mut self) -> Result<u8, DecodeError> {
        let (first, rest) = self.bytes.split_first().ok_or(DecodeError::Truncated)?;
        self.bytes = rest;
        Ok(*first)
    }

    /// An unsigned number, LEB128.
    pub fn number(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                return Err(DecodeError::Range);
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(DecodeError::Range)
    }

    /// The position of an enum's variant.
    pub fn variant(&mut self) -> Result<u64, DecodeError> {
        self.number()
    }

    /// `count` raw bytes.
    pub fn raw(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self.bytes.split_at_checked(count).ok_or(DecodeError::Truncated)?;
        self.bytes = rest;
        Ok(head)
    }

    /// Bytes behind their length.
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let count = self.length()?;
        self.raw(count)
    }

    /// A length; never more than the bytes that are left, so it is safe to reserve.
    pub fn length(&mut self) -> Result<usize, DecodeError> {
        let count = usize::try_from(self.number()?).map_err(|_| DecodeError::Range)?;
        if count > self.bytes.len() { Err(DecodeError::Truncated) } else { Ok(count) }
    }

    /// The bits of the entity that a stable id names; `None` for 0.
    pub fn entity(&mut self) -> Result<Option<u64>, DecodeError> {
        match self.number()? {
            0 => Ok(None),
            id => match self.entity_of.and_then(|entity_of| entity_of(id)) {
                Some(bits) => Ok(Some(bits)),
                None => Err(DecodeError::Entity { id }),
            },
        }
    }
}
