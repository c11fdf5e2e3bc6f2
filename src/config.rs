//! The configuration of a switch: what stands in its file and what a recording repeats.

mod file;
mod keys;

pub use file::{ConfigError, documented_default};
pub use keys::{Allowed, KEYS, Key, SECTIONS};

use crate::net::Marks;
use ringworld_components::call::{
    LimitSettings, MediaSettings, PrioritySettings, ResourceSettings, ServiceSettings, Settings, SipSettings,
    TimerSettings,
};
use ringworld_components::edge::Transport;
use ringworld_components::record::Record;
use ringworld_components::wire::sip::Limits;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// Everything that can be set. `ringworld config` prints it with every default written out.
///
/// ```
/// use ringworld::config::Config;
/// let config: Config = toml::from_str("[network]\nrtp_ports = \"20000-21000\"").unwrap();
/// assert_eq!(config.network.rtp_ports.first, 20_000);
/// assert!(toml::from_str::<Config>("[network]\nrtp_prots = \"1-2\"").is_err());
/// ```
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Sockets and threads.
    pub network: NetworkSettings,
    /// The recording.
    pub record: RecordSettings,
    /// What survives the process.
    pub state: StateSettings,
    /// Signalling.
    pub sip: SipSettings,
    /// How much of everything there may be.
    pub limits: LimitSettings,
    /// How long anything may take.
    pub timers: TimerSettings,
    /// Audio.
    pub media: MediaSettings,
    /// What calls are connected to.
    pub services: ServiceSettings,
    /// What sets the priority of calls.
    pub priority: PrioritySettings,
    /// What calls are charged, and the budgets.
    pub resources: ResourceSettings,
}

impl Config {
    /// The part that is a world's own.
    pub fn settings(&self) -> Settings {
        Settings {
            sip: self.sip.clone(),
            limits: self.limits.clone(),
            timers: self.timers.clone(),
            media: self.media.clone(),
            services: self.services.clone(),
            priority: self.priority.clone(),
            resources: self.resources.clone(),
        }
    }
}

/// The bounds of SIP messages, for the network threads and for a replay that parses again.
pub fn sip_limits(sip: &SipSettings) -> Limits {
    Limits {
        max_message_bytes: sip.message_bytes_max as usize,
        max_headers: sip.headers_max as usize,
        ..Limits::default()
    }
}

/// Sockets and threads.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkSettings {
    /// The addresses for SIP: `udp:ADDRESS:PORT` or `tcp:ADDRESS:PORT`.
    pub sip: Vec<SipListen>,
    /// The RTP ports, first and last. A call takes an even one and the odd one above it.
    pub rtp_ports: PortRange,
    /// How many open port pairs are kept in stock: the calls that can be answered in one burst, such as after a stall
    /// of the machine.
    pub rtp_port_stock: u32,
    /// How many worlds there are, each with its own thread and recording.
    pub worlds: u8,
    /// How many threads carry RTP.
    pub rtp_threads: u8,
    /// How many TCP connections there may be.
    pub tcp_connections_max: u32,
    /// After how many seconds without a byte a TCP connection is closed.
    pub tcp_idle_s: u32,
    /// How many packet buffers each RTP thread and each world holds.
    pub packet_buffers: u32,
    /// The DSCP of SIP.
    pub dscp_signalling: u8,
    /// The DSCP of RTP of the class voice.
    pub dscp_voice: u8,
    /// The DSCP of RTP of the class video.
    pub dscp_video: u8,
    /// The DSCP of RTP of the class expedited forwarding.
    pub dscp_expedited: u8,
}

impl Default for NetworkSettings {
    fn default() -> Self {
        let marks = Marks::default();
        let everywhere = |transport| SipListen { transport, address: SocketAddr::from(([0, 0, 0, 0], 5060)) };
        Self {
            sip: vec![everywhere(Transport::Udp), everywhere(Transport::Tcp)],
            rtp_ports: PortRange { first: 10_000, last: 20_000 },
            rtp_port_stock: 2_048,
            worlds: 1,
            rtp_threads: 1,
            tcp_connections_max: 1_024,
            tcp_idle_s: 600,
            packet_buffers: 4_096,
            dscp_signalling: marks.signalling,
            dscp_voice: marks.voice,
            dscp_video: marks.video,
            dscp_expedited: marks.expedited,
        }
    }
}

/// The recording.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct RecordSettings {
    /// The file to record into; empty: none. With several worlds each has its own, with its index appended.
    pub file: PathBuf,
    /// How large it may become, in MiB; past it the recording ends, and the switch goes on.
    pub mib_max: u32,
    /// How much of RTP is kept: `off`, `headers` or `full`.
    pub media: RecordMedia,
    /// How far back the flight recorder reaches, in seconds; 0: there is none.
    pub flight_seconds: u32,
    /// How much memory the flight recorder of a world may take, in MiB.
    pub flight_mib: u32,
    /// How much of RTP the flight recorder keeps.
    pub flight_media: RecordMedia,
    /// The folder that flight recordings are written to; empty: that of `file`, else the system's temporary folder.
    pub flight_dir: PathBuf,
    /// A delay of the ticks that is an alarm, in milliseconds; 0: none is.
    pub flight_late_ms: u32,
}

impl Default for RecordSettings {
    fn default() -> Self {
        Self {
            file: PathBuf::new(),
            mib_max: 1_024,
            media: RecordMedia::Full,
            flight_seconds: 60,
            flight_mib: 64,
            flight_media: RecordMedia::Off,
            flight_dir: PathBuf::new(),
            flight_late_ms: 1_000,
        }
    }
}

impl RecordSettings {
    /// The folder that flight recordings are written to.
    pub fn flight_folder(&self) -> PathBuf {
        if !self.flight_dir.as_os_str().is_empty() {
            return self.flight_dir.clone();
        }
        match self.file.parent() {
            Some(parent) if !self.file.as_os_str().is_empty() => parent.to_owned(),
            _ => std::env::temp_dir(),
        }
    }
}

/// What survives the process.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(deny_unknown_fields, default)]
pub struct StateSettings {
    /// The folder that calls survive a restart in; empty: there is none.
    pub folder: PathBuf,
}

/// How much of RTP a recording keeps. Without payloads a replay claims the control digest only.
#[derive(Record, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum RecordMedia {
    /// Nothing.
    Off,
    /// The first twelve bytes and the length.
    Headers,
    /// Everything.
    Full,
}

impl FromStr for RecordMedia {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            "headers" => Ok(Self::Headers),
            "full" => Ok(Self::Full),
            _ => Err(format!("{text:?} is none of off, headers, full")),
        }
    }
}

/// An address for SIP, as text `udp:127.0.0.1:5060` or `tcp:[::1]:5060`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SipListen {
    /// The transport.
    pub transport: Transport,
    /// The address; port 0 lets the system choose.
    pub address: SocketAddr,
}

impl fmt::Display for SipListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport.as_str().to_ascii_lowercase(), self.address)
    }
}

impl FromStr for SipListen {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        const EXPECTED: &str = "udp:ADDRESS:PORT or tcp:ADDRESS:PORT";
        let (name, address) = text.split_once(':').ok_or_else(|| format!("{text:?} is not {EXPECTED}"))?;
        let transport = match name {
            "udp" => Transport::Udp,
            "tcp" => Transport::Tcp,
            "tls" | "ws" | "wss" => {
                return Err(format!("SIP over {} is not supported: {text:?} must be {EXPECTED}", name.to_uppercase()));
            }
            _ => return Err(format!("{text:?} does not begin with a transport: {EXPECTED}")),
        };
        let lacks_port = address.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        let wrong = if lacks_port { "lacks the port" } else { "has no IP address and port" };
        Ok(Self { transport, address: address.parse().map_err(|_| format!("{text:?} {wrong}: {EXPECTED}"))? })
    }
}

/// A range of ports, as text `10000-20000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The first port.
    pub first: u16,
    /// The last port.
    pub last: u16,
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl FromStr for PortRange {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('-').and_then(|(first, last)| {
            let range = Self { first: first.trim().parse().ok()?, last: last.trim().parse().ok()? };
            (range.first >= 1024 && range.last > range.first).then_some(range)
        });
        parsed.ok_or_else(|| format!("{text:?} is not FIRST-LAST with 1024 <= FIRST < LAST <= 65535"))
    }
}

macro_rules! as_text {
    ($($ty:ty),*) => {$(
        impl Serialize for $ty {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> { to.collect_str(self) }
        }
        impl<'de> Deserialize<'de> for $ty {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
as_text!(SipListen, PortRange);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_survive_a_round_trip_through_the_file() {
        let text = toml::to_string(&Config::default()).unwrap();
        assert_eq!(toml::from_str::<Config>(&text).unwrap(), Config::default());
    }

    #[test]
    fn an_error_names_the_line_the_key_and_what_is_allowed() {
        let error = toml::from_str::<Config>("[network]\n\nrtp_prots = \"1-2\"").unwrap_err().to_string();
        assert!(error.contains("line 3") && error.contains("rtp_prots") && error.contains("rtp_ports"), "{error}");
        let error = toml::from_str::<Config>("[record]\nmedia = \"some\"").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("some") && error.contains("headers"), "{error}");
        let error = toml::from_str::<Config>("[network]\nrtp_ports = \"9-8\"").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("FIRST-LAST"), "{error}");
    }
}
