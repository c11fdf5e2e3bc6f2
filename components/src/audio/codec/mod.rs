//! Codecs: one entry each in the registry, with what a session description, RTP and the mix need of it, and the objects
//! that encode and decode its frames.

mod coder;
pub(in crate::audio) mod g711;
mod g722;
mod l16;

pub use coder::{Decoder, Encoder, StreamDecoder, StreamEncoder};
pub use g711::G711;

use super::{AudioFormat, RtpClock};
use crate::record::Record;
use g722::{G722Receiver, G722Sender};
use l16::L16;
use std::fmt;

/// An audio codec that can be agreed on.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Codec {
    /// G.711 mu-law (RFC 3551 section 4.5.14).
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722 at 64 kbit/s (RFC 3551 section 4.5.2).
    G722,
    /// Samples as they are, 8,000 in a second (RFC 3551 section 4.5.11).
    L16Narrowband,
    /// The same, 16,000 in a second.
    L16Wideband,
    /// The same, 48,000 in a second.
    L16Fullband,
}

/// What is known of a codec. All of them are sample-based (RFC 3551 section 4.2): every unit of the RTP clock has the
/// same number of octets, and a packet may hold any number of units.
struct Entry {
    /// The encoding name, and behind it what tells it from others of that name.
    label: &'static str,
    name: &'static str,
    clock: RtpClock,
    format: AudioFormat,
    /// The payload type that it is offered with.
    payload_type: u8,
    unit_octets: u8,
    /// An octet of silence.
    silence: u8,
    g711: Option<G711>,
    /// Whether a format with this many channels, or with these parameters (`a=fmtp`), can be taken as this codec.
    takes_channels: fn(u32) -> bool,
    takes_parameters: fn(&str) -> bool,
    encoder: fn() -> Box<dyn Encoder>,
    decoder: fn() -> Box<dyn Decoder>,
}

/// The payload types from here on mean what `a=rtpmap` says (RFC 3551 section 3).
const DYNAMIC_FROM: u8 = 96;

/// The most octets of a payload that fit a packet whatever the path: the least MTU of IPv6 with room for headers.
const PAYLOAD_OCTETS_MAX: u32 = 1_200;

/// The longest packet time, in milliseconds.
const PTIME_MS_MAX: u8 = 60;

const fn g711(
    name: &'static str,
    law: G711,
    encoder: fn() -> Box<dyn Encoder>,
    decoder: fn() -> Box<dyn Decoder>,
) -> Entry {
    Entry {
        label: name,
        name,
        clock: RtpClock { rate_hz: 8_000 },
        format: AudioFormat::NARROWBAND,
        payload_type: law.payload_type(),
        unit_octets: 1,
        silence: law.silence(),
        g711: Some(law),
        takes_channels: |channels| channels == 1,
        takes_parameters: |_| true,
        encoder,
        decoder,
    }
}

const fn l16(label: &'static str, rate_hz: u32, payload_type: u8) -> Entry {
    Entry {
        label,
        name: "L16",
        clock: RtpClock { rate_hz },
        format: AudioFormat::mono(rate_hz),
        payload_type,
        unit_octets: 2,
        silence: 0,
        g711: None,
        // What is offered in stereo is answered in mono.
        takes_channels: |channels| channels <= 2,
        // Audio with emphasis (RFC 3190 section 6) is not what it says.
        takes_parameters: |parameters| !parameters.to_ascii_lowercase().contains("emphasis"),
        encoder: || Box::new(L16),
        decoder: || Box::new(L16),
    }
}

static PCMU: Entry = g711("PCMU", G711::Pcmu, || Box::new(G711::Pcmu), || Box::new(G711::Pcmu));
static PCMA: Entry = g711("PCMA", G711::Pcma, || Box::new(G711::Pcma), || Box::new(G711::Pcma));
static G722: Entry = Entry {
    label: "G722",
    name: "G722",
    // By an error in RFC 1890 that was kept (RFC 3551 section 4.5.2).
    clock: RtpClock { rate_hz: 8_000 },
    format: AudioFormat::mono(16_000),
    payload_type: 9,
    unit_octets: 1,
    silence: 0xff,
    g711: None,
    takes_channels: |channels| channels == 1,
    takes_parameters: |_| true,
    encoder: || Box::new(G722Sender::default()),
    decoder: || Box::new(G722Receiver::default()),
};
static L16_NARROWBAND: Entry = l16("L16/8000", 8_000, 96);
static L16_WIDEBAND: Entry = l16("L16/16000", 16_000, 97);
static L16_FULLBAND: Entry = l16("L16/48000", 48_000, 98);

impl Codec {
    /// Every codec, in the order in which they are preferred unless the configuration says otherwise.
    pub const ALL: &[Self] =
        &[Self::Pcmu, Self::Pcma, Self::G722, Self::L16Wideband, Self::L16Fullband, Self::L16Narrowband];

    fn entry(self) -> &'static Entry {
        match self {
            Self::Pcmu => &PCMU,
            Self::Pcma => &PCMA,
            Self::G722 => &G722,
            Self::L16Narrowband => &L16_NARROWBAND,
            Self::L16Wideband => &L16_WIDEBAND,
            Self::L16Fullband => &L16_FULLBAND,
        }
    }

    /// The encoding name, and where several have it, the clock rate: as a configuration names it.
    pub fn label(self) -> &'static str {
        self.entry().label
    }

    /// The codec that a label names, in either case.
    pub fn labelled(label: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|codec| codec.label().eq_ignore_ascii_case(label))
    }

    /// The encoding name (RFC 3551 section 6).
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// The clock of its timestamps.
    pub fn clock(self) -> RtpClock {
        self.entry().clock
    }

    /// The audio that it carries.
    pub fn format(self) -> AudioFormat {
        self.entry().format
    }

    /// The payload type that we offer it with, where no other is in use.
    pub fn payload_type(self) -> u8 {
        self.entry().payload_type
    }

    /// The codec that needs no rtpmap for this payload type (RFC 3551 section 6).
    pub fn of_static_payload_type(payload_type: u8) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|codec| codec.payload_type() == payload_type && payload_type < DYNAMIC_FROM)
    }

    /// Octets of each unit of the RTP clock.
    pub fn unit_octets(self) -> usize {
        usize::from(self.entry().unit_octets)
    }

    /// Octets of so many milliseconds.
    pub fn octets(self, ms: u32) -> usize {
        self.clock().units(ms) as usize * self.unit_octets()
    }

    /// The longest packet time whose packets fit every path: a multiple of 10 ms up to 60.
    pub fn ptime_ms_max(self) -> u8 {
        let fitting = PAYLOAD_OCTETS_MAX / self.octets(10) as u32 * 10;
        u8::try_from(fitting).map_or(PTIME_MS_MAX, |ms| ms.min(PTIME_MS_MAX))
    }

    /// The octet that fills what is missing of a payload.
    pub fn silence(self) -> u8 {
        self.entry().silence
    }

    /// The law of G.711: a room of this codec alone sums its frames as they come, in one step with their expansion.
    pub fn g711(self) -> Option<G711> {
        self.entry().g711
    }

    /// Whether a format of that many channels can be taken as this codec, which has one.
    pub fn takes_channels(self, channels: u32) -> bool {
        (self.entry().takes_channels)(channels)
    }

    /// Whether a format with these parameters, the value of its `a=fmtp`, can be taken as this codec.
    pub fn takes_parameters(self, parameters: &str) -> bool {
        (self.entry().takes_parameters)(parameters)
    }

    /// A new encoder, for one stream.
    pub fn encoder(self) -> Box<dyn Encoder> {
        (self.entry().encoder)()
    }

    /// A new decoder, for one stream.
    pub fn decoder(self) -> Box<dyn Decoder> {
        (self.entry().decoder)()
    }
}

impl From<G711> for Codec {
    fn from(law: G711) -> Self {
        match law {
            G711::Pcmu => Self::Pcmu,
            G711::Pcma => Self::Pcma,
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_found_again_and_fits_a_frame() {
        for &codec in Codec::ALL {
            assert_eq!(Codec::labelled(&codec.label().to_lowercase()), Some(codec));
            assert!(codec.octets(20) <= crate::audio::FRAME_OCTETS_MAX, "{codec}");
            assert!(codec.format().frame_samples() <= crate::audio::FRAME_SAMPLES_MAX, "{codec}");
            assert!(codec.ptime_ms_max() >= 10 && codec.octets(u32::from(codec.ptime_ms_max())) <= 1_200, "{codec}");
            let same = Codec::ALL.iter().filter(|other| other.payload_type() == codec.payload_type()).count();
            assert_eq!(same, 1, "{codec}");
        }
        assert_eq!(Codec::L16Fullband.ptime_ms_max(), 10);
        assert_eq!((Codec::of_static_payload_type(8), Codec::of_static_payload_type(96)), (Some(Codec::Pcma), None));
    }

    #[test]
    fn what_is_encoded_is_decoded_within_the_error_of_the_codec() {
        for &codec in Codec::ALL {
            let (mut encoder, mut decoder) = (codec.encoder(), codec.decoder());
            let format = codec.format();
            let pcm: Vec<i16> = (0..format.frame_samples() as i16).map(|n| n * 30 - 2_000).collect();
            let (mut payload, mut again) = (vec![0; codec.octets(20)], vec![0; pcm.len()]);
            encoder.encode(&pcm, &mut payload);
            decoder.decode(&payload, &mut again);
            // G.722 has a delay; how well it does is measured with tones.
            if codec == Codec::G722 {
                assert!(again.iter().any(|sample| *sample != 0));
                continue;
            }
            let most = if codec.g711().is_some() { 300 } else { 0 };
            assert!(pcm.iter().zip(&again).all(|(one, other)| one.abs_diff(*other) <= most), "{codec}");
        }
    }
}
