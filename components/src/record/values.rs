//! [`Record`] for the values that fields are made of.

use super::{DecodeError, Decoder, Encoder, Record, Shape};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

macro_rules! unsigned {
    ($($ty:ty),*) => {$(
        impl Record for $ty {
            fn encode(&self, to: &mut Encoder<'_>) { to.number(*self as u64); }
            fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                <$ty>::try_from(from.number()?).map_err(|_| DecodeError::Range)
            }
            fn shape(to: &mut Shape) { to.leaf(stringify!($ty)); }
        }
    )*};
}
unsigned!(u16, u32, u64, usize);

macro_rules! signed {
    ($($ty:ty),*) => {$(
        impl Record for $ty {
            fn encode(&self, to: &mut Encoder<'_>) {
                let wide = i64::from(*self);
                to.number(((wide << 1) ^ (wide >> 63)) as u64);
            }
            fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                let zigzag = from.number()?;
                let wide = ((zigzag >> 1) as i64) ^ -((zigzag & 1) as i64);
                <$ty>::try_from(wide).map_err(|_| DecodeError::Range)
            }
            fn shape(to: &mut Shape) { to.leaf(stringify!($ty)); }
        }
    )*};
}
signed!(i8, i16, i32, i64);

impl Record for u8 {
    fn encode(&self, to: &mut Encoder<'_>) {
        to.byte(*self);
    }
    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        from.byte()
    }
    fn shape(to: &mut Shape) {
        to.leaf("u8");
    }
    fn encode_all(values: &[Self], to: &mut Encoder<'_>) {
        to.raw(values);
    }
    fn decode_all(count: usize, from: &mut Decoder<'_>) -> Result<Vec<Self>, DecodeError> {
        from.raw(count).map(<[u8]>::to_vec)
    }
}

impl Record for u128 {
    fn encode(&self, to: &mut Encoder<'_>) {
        to.raw(&self.to_le_bytes());
    }
    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(u128::from_le_bytes(<[u8; 16]>::decode(from)?))
    }
    fn shape(to: &mut Shape) {
        to.leaf("u128");
    }
}

impl Record for bool {
    fn encode(&self, to: &mut Encoder<'_>) {
        to.byte(u8::from(*self));
    }
    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match from.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(DecodeError::Variant { of: "bool", found: u64::from(other) }),
        }
    }
    fn shape(to: &mut Shape) {
        to.leaf("bool");
    }
}

impl Record for () {
    fn encode(&self, _: &mut Encoder<'_>) {}
    fn decode(_: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(())
    }
    fn shape(to: &mut Shape) {
        to.leaf("()");
    }
}

impl Record for char {
    fn encode(&self, to: &mut Encoder<'_>) {
        to.number(u64::from(u32::from(*self)));
    }
    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        char::from_u32(u32::decode(from)?).ok_or(DecodeError::Range)
    }
    fn shape(to: &mut Shape) {
        to.leaf("char");
    }
}

impl<const N: usize> Record for [u8; N] {
    fn encode(&self, to: &mut Encoder<'_>) {
        to.raw(self);
    }
    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        <[u8; N]>::try_from(from.raw(N)?).map_err(|_| DecodeError::Truncated)
    }
    fn shape(to: &mut Shape) {
        to.leaf(&format!("[u8;{N}]"));
    }
}

impl<T: Record, const N: usize> Record for [Vec<T>; N] {
    fn encode(&self, to: &mut Encoder<'_>) {
        for list in self {
            list.encode(to);
        }
    }
    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let mut lists = [const { Vec::new() }; N];
        for list in &mut lists {
            *list = Vec::decode(from)?;
        }
        Ok(lists)
    }
    fn shape(to: &mut Shape) {
        to.open(&format!("{N}lists"));
        T::shape(to);
        to.close();
    }
}

impl Record for String {
    fn encode(&self, to: &mut Encoder<'_>) {
        to.bytes(self.as_bytes());
    }
    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        String::from_utf8(from.bytes()?.to_vec()).map_err(|_| DecodeError::Utf8)
    }
    fn shape(to: &mut Shape) {
        to.leaf("text");
    }
}

impl Record for Bytes {
    fn encode(&self, to: &mut Encoder<'_>) {
        to.bytes(self);
    }
    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Bytes::copy_from_slice(from.bytes()?))
    }
    fn shape(to: &mut Shape) {
        to.leaf("bytes");
    }
}

impl Record for Duration {
    fn encode(&self, to: &mut Encoder<'_>) {
        self.as_secs().encode(to);
        self.subsec_nanos().encode(to);
    }
    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let seconds = u64::decode(from)?;
        match u32::decode(from)? {
            nanos @ 0..1_000_000_000 => Ok(Duration::new(seconds, nanos)),
            _ => Err(DecodeError::Range),
        }
    }
    fn shape(to: &mut Shape) {
        to.leaf("duration");
    }
}

impl Record for IpAddr {
    fn encode(&self, to: &mut Encoder<'_>) {
        match self {
            IpAddr::V4(v4) => {
                to.byte(4);
                to.raw(&v4.octets());
            }
            IpAddr::V6(v6) => {
                to.byte(6);
                to.raw(&v6.octets());
            }
        }
    }
    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match from.byte()? {
            4 => Ok(IpAddr::from(<[u8; 4]>::decode(from)?)),
            6 => Ok(IpAddr::from(<[u8; 16]>::decode(from)?)),
            other => Err(DecodeError::Variant { of: "IpAddr", found: u64::from(other) }),
        }
    }
    fn shape(to: &mut Shape) {
        to.leaf("ip");
    }
}

impl Record for SocketAddr {
    fn encode(&self, to: &mut Encoder<'_>) {
        self.ip().encode(to);
        self.port().encode(to);
    }
    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(SocketAddr::new(IpAddr::decode(from)?, u16::decode(from)?))
    }
    fn shape(to: &mut Shape) {
        to.leaf("socket-address");
    }
}

impl<T: Record> Record for Option<T> {
    fn encode(&self, to: &mut Encoder<'_>) {
        match self {
            None => to.byte(0),
            Some(value) => {
                to.byte(1);
                value.encode(to);
            }
        }
    }
    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(if bool::decode(from)? { Some(T::decode(from)?) } else { None })
    }
    fn shape(to: &mut Shape) {
        to.open("option");
        T::shape(to);
        to.close();
    }
}

impl<T: Record, E: Record> Record for Result<T, E> {
    fn encode(&self, to: &mut Encoder<'_>) {
        match self {
            Ok(value) => {
                to.byte(1);
                value.encode(to);
            }
            Err(error) => {
                to.byte(0);
                error.encode(to);
            }
        }
    }
    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(if bool::decode(from)? { Ok(T::decode(from)?) } else { Err(E::decode(from)?) })
    }
    fn shape(to: &mut Shape) {
        to.open("result");
        T::shape(to);
        E::shape(to);
        to.close();
    }
}

impl<T: Record> Record for Box<T> {
    fn encode(&self, to: &mut Encoder<'_>) {
        T::encode(self, to);
    }
    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        T::decode(from).map(Box::new)
    }
    fn shape(to: &mut Shape) {
        T::shape(to);
    }
}

impl<T: Record> Record for Vec<T> {
    fn encode(&self, to: &mut Encoder<'_>) {
        to.number(self.len() as u64);
        T::encode_all(self, to);
    }
    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let count = from.length()?;
        T::decode_all(count, from)
    }
    fn shape(to: &mut Shape) {
        to.open("list");
        T::shape(to);
        to.close();
    }
}

macro_rules! sequences {
    ($($ty:ident: $($bound:path),*;)*) => {$(
        impl<T: Record $(+ $bound)*> Record for $ty<T> {
            fn encode(&self, to: &mut Encoder<'_>) {
                to.number(self.len() as u64);
                for value in self { value.encode(to); }
            }
            fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                let count = from.length()?;
                (0..count).map(|_| T::decode(from)).collect()
            }
            fn shape(to: &mut Shape) { to.open("list"); T::shape(to); to.close(); }
        }
    )*};
}
sequences!(VecDeque: ; BTreeSet: Ord;);

impl<K: Record + Ord, V: Record> Record for BTreeMap<K, V> {
    fn encode(&self, to: &mut Encoder<'_>) {
        to.number(self.len() as u64);
        for (key, value) in self {
            key.encode(to);
            value.encode(to);
        }
    }
    fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let count = from.length()?;
        (0..count).map(|_| Ok((K::decode(from)?, V::decode(from)?))).collect()
    }
    fn shape(to: &mut Shape) {
        to.open("map");
        K::shape(to);
        V::shape(to);
        to.close();
    }
}

macro_rules! tuples {
    ($($name:ident),*) => {
        impl<$($name: Record),*> Record for ($($name,)*) {
            #[expect(non_snake_case, reason = "the type parameters name the elements")]
            fn encode(&self, to: &mut Encoder<'_>) { let ($($name,)*) = self; $($name.encode(to);)* }
            fn decode(from: &mut Decoder<'_>) -> Result<Self, DecodeError> { Ok(($($name::decode(from)?,)*)) }
            fn shape(to: &mut Shape) { to.open("tuple"); $($name::shape(to);)* to.close(); }
        }
    };
}
tuples!(A, B);
tuples!(A, B, C);
tuples!(A, B, C, D);

#[cfg(test)]
mod tests {
    use crate::record::{DecodeError, Record, from_bytes, to_bytes};
    use proptest::prelude::*;

    #[derive(Record, Debug, PartialEq, Clone)]
    enum Thing {
        Empty,
        Pair(u16, i32),
        Named { text: String, list: Vec<Option<u64>> },
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(a: u16, b: i32, text: String, list: Vec<Option<u64>>) {
            for thing in [Thing::Empty, Thing::Pair(a, b), Thing::Named { text, list }] {
                prop_assert_eq!(from_bytes::<Thing>(&to_bytes(&thing)).unwrap(), thing);
            }
        }

        #[test]
        fn any_bytes_decode_or_fail_without_a_panic(bytes: Vec<u8>) {
            let _ = from_bytes::<Thing>(&bytes);
            let _ = from_bytes::<Vec<(u64, String)>>(&bytes);
        }
    }

    #[test]
    fn damage_is_named() {
        assert_eq!(from_bytes::<Thing>(&[9]), Err(DecodeError::Variant { of: "Thing", found: 9 }));
        assert_eq!(from_bytes::<u16>(&[0xff, 0xff, 0x7f]), Err(DecodeError::Range));
        assert_eq!(from_bytes::<String>(&[200, 1]), Err(DecodeError::Truncated));
        assert_eq!(from_bytes::<u8>(&[1, 2]), Err(DecodeError::Trailing { bytes: 1 }));
    }

    #[test]
    fn the_shape_names_every_field() {
        assert_eq!(
            crate::record::Shape::of::<Thing>(),
            "Thing{Empty{}Pair{0:u16;1:i32;}Named{text:text;list:list{option{u64;}}}}"
        );
    }
}
