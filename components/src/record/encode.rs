//! Writing values.

/// Where values are appended to.
///
/// Entities are written as stable ids; the naming function is set by the code that encodes a world.
pub struct Encoder<'a> {
    out: &'a mut Vec<u8>,
    name_of: Option<&'a dyn Fn(u64) -> u64>,
    is_of_digest: bool,
}

impl<'a> Encoder<'a> {
    /// An encoder for values that hold no entities (an entity is written as 0, "none").
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, name_of: None, is_of_digest: false }
    }

    /// An encoder that writes an entity (its bits) as what `name_of` says.
    pub fn with_names(out: &'a mut Vec<u8>, name_of: &'a dyn Fn(u64) -> u64) -> Self {
        Self { out, name_of: Some(name_of), is_of_digest: false }
    }

    /// As [`Encoder::with_names`], for what worlds are compared by: without what is [`Undigested`](super::Undigested).
    pub fn of_digest(out: &'a mut Vec<u8>, name_of: &'a dyn Fn(u64) -> u64) -> Self {
        Self { out, name_of: Some(name_of), is_of_digest: true }
    }

    /// Whether the values are compared, and not restored.
    pub fn is_of_digest(&self) -> bool {
        self.is_of_digest
    }

    /// One byte.
    pub fn byte(&mut self, value: u8) {
        self.out.push(value);
    }

    /// An unsigned number, LEB128.
    pub fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.out.push((value as u8) | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }

    /// The position of an enum's variant.
    pub fn variant(&mut self, index: u64) {
        self.number(index);
    }

    /// Raw bytes, without their length.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// Bytes behind their length.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.raw(bytes);
    }

    /// An entity by its bits, written as its stable id, or 0 where it has none.
    pub fn entity(&mut self, bits: u64) {
        let id = self.name_of.map_or(0, |name_of| name_of(bits));
        self.number(id);
    }
}

/// A textual description of an encoding, for the schema hash and for messages that name what changed.
#[derive(Default, Debug)]
pub struct Shape {
    text: String,
}

impl Shape {
    /// The shape of `T` as text.
    pub fn of<T: super::Record>() -> String {
        let mut shape = Self::default();
        T::shape(&mut shape);
        shape.text
    }

    /// A primitive.
    pub fn leaf(&mut self, name: &str) {
        self.text.push_str(name);
        self.text.push(';');
    }

    /// Starts a struct, an enum or a variant.
    pub fn open(&mut self, name: &str) {
        self.text.push_str(name);
        self.text.push('{');
    }

    /// Names the field that follows.
    pub fn field(&mut self, name: &str) {
        self.text.push_str(name);
        self.text.push(':');
    }

    /// Ends what [`Shape::open`] began.
    pub fn close(&mut self) {
        self.text.push('}');
    }
}
