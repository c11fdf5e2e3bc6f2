//! G.711 of the user agent: both laws, sample by sample (ITU-T G.711), independent of the switch's kernels.

use serde::Serialize;

/// The two companding laws of G.711.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum G711 {
    /// PCMU, payload type 0.
    Pcmu,
    /// PCMA, payload type 8.
    Pcma,
}

impl G711 {
    /// The encoding name in SDP.
    pub fn name(self) -> &'static str {
        match self {
            G711::Pcmu => "PCMU",
            G711::Pcma => "PCMA",
        }
    }

    /// The static payload type (RFC 3551, section 6).
    pub fn payload_type(self) -> u8 {
        match self {
            G711::Pcmu => 0,
            G711::Pcma => 8,
        }
    }

    /// The byte that decodes to (nearly) zero.
    pub fn silence(self) -> u8 {
        match self {
            G711::Pcmu => 0xff,
            G711::Pcma => 0xd5,
        }
    }

    /// One sample to one byte.
    pub fn encode(self, sample: i16) -> u8 {
        match self {
            G711::Pcmu => encode_mu(sample),
            G711::Pcma => encode_a(sample),
        }
    }

    /// One byte to one sample.
    pub fn decode(self, byte: u8) -> i16 {
        match self {
            G711::Pcmu => decode_mu(byte),
            G711::Pcma => decode_a(byte),
        }
    }
}

/// Mu-law works on 14 bits with a bias of 33; here everything is scaled by 4 to 16 bits.
const MU_BIAS: i32 = 132;

fn encode_mu(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let biased = i32::from(sample).abs().min(32_635) + MU_BIAS;
    let segment = biased.ilog2() - 7;
    let step = (biased >> (segment + 3)) & 0x0f;
    !(sign | ((segment as u8) << 4) | step as u8)
}

fn decode_mu(byte: u8) -> i16 {
    let code = !byte;
    let segment = u32::from((code >> 4) & 7);
    let magnitude = (((i32::from(code & 0x0f) << 3) + MU_BIAS) << segment) - MU_BIAS;
    (if code & 0x80 != 0 { -magnitude } else { magnitude }) as i16
}

fn encode_a(sample: i16) -> u8 {
    let (sign, magnitude) = if sample < 0 { (0, !i32::from(sample) >> 3) } else { (0x80, i32::from(sample) >> 3) };
    let code = match magnitude {
        0..32 => magnitude >> 1,
        _ => {
            let segment = magnitude.ilog2() - 4;
            ((segment as i32) << 4) | ((magnitude >> segment) & 0x0f)
        }
    };
    (sign | code as u8) ^ 0x55
}

fn decode_a(byte: u8) -> i16 {
    let code = byte ^ 0x55;
    let segment = u32::from((code >> 4) & 7);
    let step = i32::from(code & 0x0f) << 1;
    let magnitude = if segment == 0 { step + 1 } else { (step + 33) << (segment - 1) } << 3;
    (if code & 0x80 != 0 { magnitude } else { -magnitude }) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_of_the_itu_tables() {
        assert_eq!(decode_mu(0xff), 0);
        assert_eq!(decode_mu(0x80), 32_124);
        assert_eq!(decode_mu(0x00), -32_124);
        assert_eq!(decode_mu(0xfe), 8);
        assert_eq!(decode_a(0xd5), 8);
        assert_eq!(decode_a(0x55), -8);
        assert_eq!(decode_a(0xaa), 32_256);
        assert_eq!(decode_a(0x2a), -32_256);
        assert_eq!(G711::Pcmu.encode(0), 0xff);
        assert_eq!(G711::Pcma.encode(0), 0xd5);
    }

    #[test]
    fn every_byte_survives_a_round_trip() {
        for byte in 0..=255u8 {
            assert_eq!(encode_a(decode_a(byte)), byte);
            // Mu-law has two zeros; the negative one may come back as the positive.
            if byte != 0x7f {
                assert_eq!(encode_mu(decode_mu(byte)), byte);
            }
        }
    }

    #[test]
    fn the_error_stays_within_half_a_step() {
        for sample in i16::MIN..=i16::MAX {
            for law in [G711::Pcmu, G711::Pcma] {
                let back = i32::from(law.decode(law.encode(sample)));
                let error = (back - i32::from(sample)).abs();
                assert!(error <= 16 + i32::from(sample).abs() / 30, "{law:?} {sample} {back}");
            }
        }
    }
}
