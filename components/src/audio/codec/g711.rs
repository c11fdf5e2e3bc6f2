//! G.711: μ-law and A-law, by arithmetic instead of tables.
//!
//! A table look-up per sample can't be vectorised; these formulas can, and agree with the tables of the recommendation
//! for every input. A negative sample that lies exactly on a decision value is companded as the ITU's reference
//! software does (G.191): by its one's complement.

use crate::record::Record;
use multiversion::multiversion;

/// Which of the two companding laws.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum G711 {
    /// μ-law, RTP payload type 0 (RFC 3551, section 4.5.14).
    Pcmu,
    /// A-law, RTP payload type 8.
    Pcma,
}

/// The μ-law, at compile time.
pub(in crate::audio) struct Pcmu;

/// The A-law, at compile time.
pub(in crate::audio) struct Pcma;

impl G711 {
    /// The byte that stands for silence: in A-law, which has no zero, the smallest positive value, 8.
    pub const fn silence(self) -> u8 {
        match self {
            G711::Pcmu => 0xff,
            G711::Pcma => 0xd5,
        }
    }

    /// The static RTP payload type (RFC 3551, table 4).
    pub const fn payload_type(self) -> u8 {
        match self {
            G711::Pcmu => 0,
            G711::Pcma => 8,
        }
    }

    /// Decodes as much of `payload` as `pcm` has room for; returns the samples written.
    pub fn decode(self, payload: &[u8], pcm: &mut [i16]) -> usize {
        decode_law(self, payload, pcm);
        payload.len().min(pcm.len())
    }

    /// Encodes as much of `pcm` as `payload` has room for; returns the bytes written.
    pub fn encode(self, pcm: &[i16], payload: &mut [u8]) -> usize {
        encode_law(self, pcm, payload);
        payload.len().min(pcm.len())
    }
}

/// A law at compile time, for the loops that are specialised by it.
pub(in crate::audio) trait Companding {
    /// The sample that a byte stands for, within 16 bits.
    fn expand(code: u8) -> i32;
    /// The byte for a sample; what 16 bits can't hold is clipped.
    fn compress(sample: i32) -> u8;
}

impl Companding for Pcmu {
    #[inline(always)]
    fn expand(code: u8) -> i32 {
        let code = i32::from(!code);
        let magnitude = ((((code & 0x0f) << 3) + BIAS) << ((code >> 4) & 7)) - BIAS;
        let sign = -(code >> 7);
        (magnitude ^ sign) - sign
    }

    #[inline(always)]
    fn compress(sample: i32) -> u8 {
        let sign = sample >> 31;
        let magnitude = (sample ^ sign).min(0x7fff - BIAS) + BIAS;
        (!segment_and_step(magnitude) ^ (sign & 0x80)) as u8
    }
}

impl Companding for Pcma {
    #[inline(always)]
    fn expand(code: u8) -> i32 {
        let code = i32::from(code ^ 0x55);
        let segment = (code >> 4) & 7;
        let leading = if segment > 0 { 0x108 } else { 8 };
        let magnitude = (((code & 0x0f) << 4) + leading) << (segment - 1).max(0);
        let sign = (code >> 7) - 1;
        (magnitude ^ sign) - sign
    }

    #[inline(always)]
    fn compress(sample: i32) -> u8 {
        let sign = sample >> 31;
        let magnitude = (sample ^ sign).min(0x7fff);
        let code = if magnitude < 0x100 { magnitude >> 4 } else { segment_and_step(magnitude) };
        (code ^ 0xd5 ^ (sign & 0x80)) as u8
    }
}

/// What μ-law adds to a magnitude before it looks for the segment, on the scale of 16 bits.
const BIAS: i32 = 0x84;

/// Segment (3 bits) and step within it (4 bits) of a magnitude of 128 to 32,767.
///
/// The highest set bit and the four below it: exactly the exponent and the head of the mantissa of the number in
/// IEEE 754. The conversion of an integer below 2^24 is exact and no arithmetic follows, so this is the same on every
/// machine; it is one instruction for a whole vector where counting leading zeros is ten.
#[inline(always)]
fn segment_and_step(magnitude: i32) -> i32 {
    ((magnitude as f32).to_bits() as i32 >> 19) - ((127 + 7) << 4)
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn decode_law(law: G711, payload: &[u8], pcm: &mut [i16]) {
    match law {
        G711::Pcmu => expand_all::<Pcmu>(payload, pcm),
        G711::Pcma => expand_all::<Pcma>(payload, pcm),
    }
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512dq+avx512vl", "x86_64+avx2"))]
fn encode_law(law: G711, pcm: &[i16], payload: &mut [u8]) {
    match law {
        G711::Pcmu => compress_all::<Pcmu>(pcm, payload),
        G711::Pcma => compress_all::<Pcma>(pcm, payload),
    }
}

#[inline(always)]
fn expand_all<C: Companding>(payload: &[u8], pcm: &mut [i16]) {
    for (sample, code) in pcm.iter_mut().zip(payload) {
        *sample = C::expand(*code) as i16;
    }
}

#[inline(always)]
fn compress_all<C: Companding>(pcm: &[i16], payload: &mut [u8]) {
    for (code, sample) in payload.iter_mut().zip(pcm) {
        *code = C::compress(i32::from(*sample));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a law's segments begin and how wide their intervals are, from the recommendation's tables 1a and 2a.
    struct Table {
        scale: i32,
        decision: [i32; 8],
        output: [i32; 8],
        interval: [i32; 8],
        /// μ-law's very first interval is half as wide, so the others of its segment begin early by this.
        early: i32,
        complement: u8,
    }

    const MU: Table = Table {
        scale: 4,
        decision: [0, 31, 95, 223, 479, 991, 2015, 4063],
        output: [0, 33, 99, 231, 495, 1023, 2079, 4191],
        interval: [2, 4, 8, 16, 32, 64, 128, 256],
        early: 1,
        complement: 0xff,
    };

    const A: Table = Table {
        scale: 8,
        decision: [0, 32, 64, 128, 256, 512, 1024, 2048],
        output: [1, 33, 66, 132, 264, 528, 1056, 2112],
        interval: [2, 2, 4, 8, 16, 32, 64, 128],
        early: 0,
        complement: 0xd5,
    };

    impl Table {
        fn decision(&self, n: usize) -> i32 {
            let (segment, step) = (n / 16, (n % 16) as i32);
            let early = if segment == 0 { self.early } else { 0 };
            ((self.decision[segment] + step * self.interval[segment] - early).max(0)) * self.scale
        }

        fn encode(&self, sample: i16) -> u8 {
            let magnitude = i32::from(if sample < 0 { !sample } else { sample });
            let n = (0..128).rev().find(|n| self.decision(*n) <= magnitude).unwrap() as u8;
            (n ^ self.complement) & if sample < 0 { 0x7f } else { 0xff }
        }

        fn decode(&self, code: u8) -> i16 {
            let n = usize::from((code ^ self.complement) & 0x7f);
            let magnitude = (self.output[n / 16] + (n % 16) as i32 * self.interval[n / 16]) * self.scale;
            (if code & 0x80 == 0 { -magnitude } else { magnitude }) as i16
        }
    }

    #[test]
    fn every_byte_decodes_as_the_tables_say() {
        let all: Vec<u8> = (0..=255).collect();
        for (law, table) in [(G711::Pcmu, MU), (G711::Pcma, A)] {
            let mut pcm = [0i16; 256];
            assert_eq!(law.decode(&all, &mut pcm), 256);
            for (code, sample) in all.iter().zip(pcm) {
                assert_eq!(sample, table.decode(*code), "{law:?} {code:#x}");
            }
        }
    }

    #[test]
    fn every_sample_encodes_as_the_tables_say() {
        let all: Vec<i16> = (i16::MIN..=i16::MAX).collect();
        for (law, table) in [(G711::Pcmu, MU), (G711::Pcma, A)] {
            let mut codes = vec![0; all.len()];
            assert_eq!(law.encode(&all, &mut codes), all.len());
            for (sample, code) in all.iter().zip(codes) {
                assert_eq!(code, table.encode(*sample), "{law:?} {sample}");
            }
        }
    }

    #[test]
    fn what_was_companded_once_is_not_changed_by_a_second_time() {
        for law in [G711::Pcmu, G711::Pcma] {
            for code in 0..=255u8 {
                let (mut pcm, mut again) = ([0i16], [0u8]);
                law.decode(&[code], &mut pcm);
                law.encode(&pcm, &mut again);
                // μ-law's negative zero is the one code that a linear sample can't tell from another.
                let expected = if (law, code) == (G711::Pcmu, 0x7f) { 0xff } else { code };
                assert_eq!(again, [expected], "{law:?} {code:#x}");
            }
        }
    }

    #[test]
    fn samples_beyond_16_bits_clip() {
        for beyond in [32_768, 100_000, i32::MAX] {
            assert_eq!((Pcmu::compress(beyond), Pcmu::compress(-beyond)), (0x80, 0x00));
            assert_eq!((Pcma::compress(beyond), Pcma::compress(-beyond)), (0xaa, 0x2a));
        }
    }

    #[test]
    fn the_shorter_side_says_how_much_is_coded() {
        let mut pcm = [7i16; 4];
        assert_eq!(G711::Pcma.decode(&[0xd5; 2], &mut pcm), 2);
        assert_eq!(pcm, [8, 8, 7, 7]);
        let mut payload = [0u8; 1];
        assert_eq!(G711::Pcmu.encode(&[0; 9], &mut payload), 1);
        assert_eq!(payload, [G711::Pcmu.silence()]);
    }
}
