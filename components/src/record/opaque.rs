//! Values that are no part of what a world is compared by.

use super::{DecodeError, Decoder, Encoder, Record, Shape};
use std::ops::{Deref, DerefMut};

/// State that can't be recorded, such as that of a library's codec: it is made anew where it is missing. A copy has
/// nothing, and two are equal whatever they hold. Nothing that is recorded may depend on it.
#[derive(Debug)]
pub struct Rebuilt<T>(Option<T>);

impl<T> Default for Rebuilt<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Clone for Rebuilt<T> {
    fn clone(&self) -> Self {
        Self(None)
    }
}

impl<T> PartialEq for Rebuilt<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T> Eq for Rebuilt<T> {}

impl<T> Deref for Rebuilt<T> {
    type Target = Option<T>;
    fn deref(&self) -> &Option<T> {
        &self.0
    }
}

impl<T> DerefMut for Rebuilt<T> {
    fn deref_mut(&mut self) -> &mut Option<T> {
        &mut self.0
    }
}

impl<T> Record for Rebuilt<T> {
    fn encode(&self, _: &mut Encoder<'_>) {}
    fn decode(_: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self(None))
    }
    fn shape(to: &mut Shape) {
        to.leaf("rebuilt");
    }
}

/// What was made with state that is [`Rebuilt`]: a snapshot holds it, a digest does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Undigested<T>(pub T);

impl<T: Record> Record for Undigested<T> {
    fn encode(&self, to: &mut Encoder<'_>) {
        if !to.is_of_digest() {
            self.0.encode(to);
        }
    }
    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        T::decode(from).map(Self)
    }
    fn shape(to: &mut Shape) {
        to.open("undigested");
        T::shape(to);
        to.close();
    }
}

#[cfg(test)]
mod tests {
    use super::super::{from_bytes, to_bytes};
    use super::*;

    #[test]
    fn what_is_rebuilt_is_in_nothing_and_what_is_undigested_in_a_snapshot_alone() {
        let mut state = Rebuilt::default();
        *state = Some(7);
        assert_eq!(to_bytes(&state), []);
        assert_eq!(*from_bytes::<Rebuilt<i32>>(&[]).unwrap(), None);
        let made = Undigested(vec![1u8, 2]);
        assert_eq!(from_bytes::<Undigested<Vec<u8>>>(&to_bytes(&made)), Ok(made.clone()));
        let mut digested = Vec::new();
        made.encode(&mut Encoder::of_digest(&mut digested, &|bits| bits));
        assert_eq!(digested, []);
    }
}
