//! Every key of the configuration: what it is, in which unit, and what is allowed. The one place where this is written:
//! `ringworld config` prints it, and the check of a file uses it.

use std::fmt;

/// A key of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Section and name, as in `network.worlds`.
    pub name: &'static str,
    /// What it is, with its unit.
    pub what: &'static str,
    /// What it may be.
    pub allowed: Allowed,
}

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub enum Allowed {
    /// A whole number from the first to the last.
    Numbers(i64, i64),
    /// A description in words.
    Words(&'static str),
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Numbers(from, to) => write!(f, "{from} to {to}"),
            Self::Words(words) => f.write_str(words),
        }
    }
}

/// The sections, and what each is about.
pub const SECTIONS: &[(&str, &str)] = &[
    ("network", "Sockets and threads."),
    ("record", "The recording that `ringworld replay` plays."),
    ("state", "What survives the process."),
    ("sip", "Signalling."),
    ("limits", "How much of everything there may be in one world. Past a limit: 503 with Retry-After."),
    ("timers", "How long anything may take."),
    ("media", "Audio."),
    ("services", "What calls are connected to."),
    ("resources", "What calls are charged, by declared costs, and the budgets. Past one: 503 with Retry-After."),
    ("priority", "What sets the priority of calls. It decides nothing by itself."),
];

use Allowed::{Numbers, Words};

const COUNT_MAX: i64 = 100_000_000;
const SECONDS_MAX: i64 = 604_800;
const AMOUNT_MAX: i64 = 1_000_000_000_000;

const fn key(name: &'static str, what: &'static str, allowed: Allowed) -> Key {
    Key { name, what, allowed }
}

/// All keys.
pub const KEYS: &[Key] = &[
    key(
        "network.sip",
        "Where SIP is spoken. Port 0 lets the system choose. RTP uses the same address, or all if there are several.",
        Words("a list of \"udp:ADDRESS:PORT\" and \"tcp:ADDRESS:PORT\", an IPv6 address in brackets"),
    ),
    key(
        "network.rtp_ports",
        "The RTP ports, first and last. A call takes an even one and the odd one above it. Each open one is a file \
         descriptor: where the system grants fewer, fewer calls have media, and others get 503.",
        Words("\"FIRST-LAST\" with 1024 <= FIRST < LAST <= 65535"),
    ),
    key("network.rtp_port_stock", "How many open port pairs are kept in stock.", Numbers(1, 16_384)),
    key("network.worlds", "How many worlds there are, each with its own thread and recording.", Numbers(1, 255)),
    key("network.rtp_threads", "How many threads carry RTP.", Numbers(1, 64)),
    key("network.tcp_connections_max", "How many TCP connections there may be.", Numbers(1, 1_000_000)),
    key(
        "network.tcp_idle_s",
        "After how many seconds without a byte a TCP connection is closed.",
        Numbers(1, SECONDS_MAX),
    ),
    key(
        "network.packet_buffers",
        "How many packet buffers each RTP thread and each world holds.",
        Numbers(64, 16_777_216),
    ),
    key("network.dscp_signalling", "The DSCP (RFC 2474) of SIP.", Numbers(0, 63)),
    key("network.dscp_voice", "The DSCP of RTP of calls of the class voice.", Numbers(0, 63)),
    key("network.dscp_video", "The DSCP of RTP of calls of the class video.", Numbers(0, 63)),
    key("network.dscp_expedited", "The DSCP of RTP of calls of the class expedited forwarding.", Numbers(0, 63)),
    key(
        "record.file",
        "The file to record into; empty: none. With several worlds each appends its index to the name.",
        Words("a path, or empty"),
    ),
    key(
        "record.mib_max",
        "How large a recording may become, in MiB; past it the recording ends and the switch goes on.",
        Numbers(1, 1_048_576),
    ),
    key(
        "record.media",
        "How much of RTP is recorded. Only with full does a replay vouch for the media, too.",
        Words("\"off\", \"headers\" or \"full\""),
    ),
    key(
        "record.flight_seconds",
        "How far back the flight recorder reaches, in seconds. It is always on and written out on an alarm, on a panic \
         and on SIGUSR1. 0: there is none.",
        Numbers(0, 86_400),
    ),
    key(
        "record.flight_mib",
        "How much memory the flight recorder of a world may take, in MiB, at the cost of its seconds.",
        Numbers(1, 1_048_576),
    ),
    key(
        "record.flight_media",
        "How much of RTP the flight recorder keeps. With full it reaches back some seconds only.",
        Words("\"off\", \"headers\" or \"full\""),
    ),
    key(
        "record.flight_dir",
        "The folder that flight recordings are written to; empty: that of record.file, else the temporary one.",
        Words("a path, or empty"),
    ),
    key(
        "record.flight_late_ms",
        "How late the ticks must be for an alarm, in milliseconds. 0: no delay is one.",
        Numbers(0, 3_600_000),
    ),
    key(
        "state.folder",
        "The folder that calls survive a restart in; empty: they don't. It needs SIP on fixed ports.",
        Words("a path, or empty"),
    ),
    key("sip.t1_ms", "The round-trip estimate T1 of RFC 3261 section 17.1.1.1, in milliseconds.", Numbers(10, 60_000)),
    key("sip.t2_ms", "The longest interval between retransmissions, T2, in milliseconds.", Numbers(10, 600_000)),
    key("sip.t4_ms", "How long a message stays in the network, T4, in milliseconds.", Numbers(10, 600_000)),
    key(
        "sip.advertised_address",
        "The address that peers are told in place of the local one, for a switch behind a NAT; empty: the local one.",
        Words("an IP address, or empty"),
    ),
    key("sip.message_bytes_max", "The longest message taken, in bytes.", Numbers(1_000, 65_535)),
    key("sip.headers_max", "The most header fields taken in one message.", Numbers(16, 1_000)),
    key(
        "sip.registration_s_max",
        "How long a binding made by REGISTER lives at most, in seconds.",
        Numbers(60, SECONDS_MAX),
    ),
    key("limits.sessions", "Sessions, which are calls as the switch sees them.", Numbers(1, COUNT_MAX)),
    key(
        "limits.transactions",
        "Transactions. A finished one waits 64*T1: 5,000 calls a second need 320,000.",
        Numbers(1, COUNT_MAX),
    ),
    key("limits.dialogs", "Dialogs.", Numbers(1, COUNT_MAX)),
    key("limits.forks", "Dialogs that one call of ours may be forked into on its way.", Numbers(1, 1_000)),
    key("limits.rooms", "Conference rooms.", Numbers(1, COUNT_MAX)),
    key("limits.participants", "Participants of one room.", Numbers(1, 1_000_000)),
    key("limits.registrations", "Bindings of registered addresses.", Numbers(1, COUNT_MAX)),
    key(
        "limits.sessions_per_user",
        "Sessions of one user, by the peer's address-of-record. Past it: 403. 0: no limit.",
        Numbers(0, COUNT_MAX),
    ),
    key(
        "limits.sessions_per_endpoint",
        "Sessions of one endpoint, by the peer's IP address. 0: no limit.",
        Numbers(0, COUNT_MAX),
    ),
    key("limits.children", "Children of one session.", Numbers(0, 1_000_000)),
    key("limits.dependency_depth", "Parents above a session, one above the other.", Numbers(0, 1_000)),
    key("limits.groups", "Groups of sessions.", Numbers(0, COUNT_MAX)),
    key("limits.group_members", "Members of one group of sessions.", Numbers(0, 1_000_000)),
    key("limits.groups_per_session", "Groups that one session is in.", Numbers(0, 1_000)),
    key("limits.retry_after_s", "The Retry-After of a 503, in seconds.", Numbers(0, 86_400)),
    key(
        "timers.ringing_s",
        "How long a call may ring, in seconds; then 480, or CANCEL if we placed it. 0: for ever.",
        Numbers(0, SECONDS_MAX),
    ),
    key(
        "timers.deferral_s",
        "How long a handler may take to decide about a call, in seconds; then 480. 0: for ever.",
        Numbers(0, SECONDS_MAX),
    ),
    key("timers.call_s", "How long a call may last, in seconds; then BYE. 0: for ever.", Numbers(0, SECONDS_MAX)),
    key(
        "timers.rtp_silence_s",
        "How long a peer that should send RTP may send neither RTP nor RTCP, in seconds; then BYE. 0: for ever.",
        Numbers(0, SECONDS_MAX),
    ),
    key(
        "timers.rtp_pause_s",
        "How long we send a peer nothing where there is nothing to hear, in seconds; then a frame of silence, which keeps \
         phones, NATs and trunks from giving the call up. 0: for ever.",
        Numbers(0, SECONDS_MAX),
    ),
    key(
        "media.codecs",
        "The codecs that are taken: of an offer, the first that is among them.",
        Words("a list of \"PCMU\", \"PCMA\", \"G722\", \"L16/8000\", \"L16/16000\" and \"L16/48000\""),
    ),
    key(
        "media.offered",
        "Those of them that we offer, the preferred one first.",
        Words("a list as of media.codecs; all, if none is among them"),
    ),
    key(
        "media.room_rate_hz_max",
        "The highest rate that a room is mixed at; it has that of its members, if that is lower.",
        Words("8000, 16000 or 48000"),
    ),
    key("media.ptime_ms", "The length of the audio packets that we ask for, in milliseconds.", Numbers(10, 60)),
    key(
        "services.default",
        "The service of a call whose request URI names none. Empty: such a call gets 404.",
        Words("echo, tone, tone-HZ, silence, conf-NAME, ring-N, busy, reject-NNN (400 to 699), or empty"),
    ),
    key(
        "services.ask_handler",
        "Whether a handler of the library decides about calls. `ringworld run` has none: leave it false there.",
        Words("true or false"),
    ),
    key(
        "resources.bandwidth_kbit_s",
        "The budget of RTP bandwidth, in kbit/s in each direction. 0: no limit.",
        Numbers(0, AMOUNT_MAX),
    ),
    key(
        "resources.cpu_ppm",
        "The budget of processor time, in millionths of one core. 0: no limit.",
        Numbers(0, AMOUNT_MAX),
    ),
    key("resources.memory_kib", "The budget of memory, in KiB. 0: no limit.", Numbers(0, AMOUNT_MAX)),
    key(
        "resources.session_cpu_ppm",
        "What a session costs of processor time, in millionths of one core.",
        Numbers(0, 1_000_000),
    ),
    key("resources.session_memory_kib", "What a session costs of memory, in KiB.", Numbers(0, 1_000_000)),
    key(
        "resources.stream_cpu_ppm",
        "What a stream costs of processor time, in millionths of one core.",
        Numbers(0, 1_000_000),
    ),
    key("resources.stream_memory_kib", "What a stream costs of memory, in KiB.", Numbers(0, 1_000_000)),
    key(
        "resources.load_permille_max",
        "The measured load of the processor from which on no call is admitted, in thousandths. 0: none is.",
        Numbers(0, 1_000_000),
    ),
    key(
        "priority.rules",
        "The rules; the first that matches a call wins. A * at the end of USER stands for anything.",
        Words(
            "a list of \"from|to USER LEVEL [CLASS]\"; emergency, critical, high, normal, low, background; voice, video, expedited",
        ),
    ),
    key(
        "priority.from_headers",
        "Whether Priority (RFC 3261 section 20.26) and Resource-Priority (RFC 4412) of an INVITE count.",
        Words("true or false"),
    ),
];

/// The key of that name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}
