//! How urgent a session is, and how its packets are to be marked.
//!
//! A priority decides nothing by itself. It is set by a rule of the settings, by a header field of the INVITE or by an
//! operation, and carried for the plugins that decide. A session without the component is [`Priority::default`].

use crate::record::Record;
use crate::wire::sip::Head;
use bevy_ecs::prelude::*;

/// How urgent a session is, the most urgent first.
#[derive(Record, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PriorityLevel {
    /// A call for help, or one that must not fail.
    Emergency,
    /// Before all but emergencies.
    Critical,
    /// Before most.
    High,
    /// As any other.
    #[default]
    Normal,
    /// After the others.
    Low,
    /// After all others.
    Background,
}

/// How the RTP packets of a session are marked. The network settings say which DSCP (RFC 2474) each class has.
#[derive(Record, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QosClass {
    /// Conversational audio.
    #[default]
    Voice,
    /// Conversational video.
    Video,
    /// Expedited forwarding (RFC 3246), whatever the medium.
    ExpeditedForwarding,
}

/// What set a priority.
#[derive(Record, Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PrioritySource {
    /// Nothing did.
    #[default]
    Default,
    /// Priority (RFC 3261 section 20.26) or Resource-Priority (RFC 4412) in the INVITE.
    Header,
    /// A rule of the settings.
    Rule,
    /// An operation.
    Operation,
}

/// The priority of a session.
#[derive(Component, Record, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Priority {
    /// How urgent it is.
    pub level: PriorityLevel,
    /// How its packets are marked.
    pub class: QosClass,
    /// What set it.
    pub source: PrioritySource,
}

impl PriorityLevel {
    /// All levels, the most urgent first.
    pub const ALL: [Self; 6] = [Self::Emergency, Self::Critical, Self::High, Self::Normal, Self::Low, Self::Background];

    /// As it is written in a rule.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Emergency => "emergency",
            Self::Critical => "critical",
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
            Self::Background => "background",
        }
    }
}

impl QosClass {
    /// All classes.
    pub const ALL: [Self; 3] = [Self::Voice, Self::Video, Self::ExpeditedForwarding];

    /// As it is written in a rule.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Voice => "voice",
            Self::Video => "video",
            Self::ExpeditedForwarding => "expedited",
        }
    }
}

/// The r-values of RFC 4412 section 12.6 and RFC 5478 that we know, with what they mean here. Namespaces that are not
/// listed are ignored (RFC 4412 section 4.6.2).
const RESOURCE_PRIORITIES: &[(&str, &[(&str, PriorityLevel)])] =
    &[("dsn", MILITARY), ("drsn", MILITARY), ("q735", NUMBERED), ("ets", NUMBERED), ("wps", NUMBERED)];

const MILITARY: &[(&str, PriorityLevel)] = &[
    ("flash-override-override", PriorityLevel::Emergency),
    ("flash-override", PriorityLevel::Emergency),
    ("flash", PriorityLevel::Critical),
    ("immediate", PriorityLevel::High),
    ("priority", PriorityLevel::High),
    ("routine", PriorityLevel::Normal),
];

const NUMBERED: &[(&str, PriorityLevel)] = &[
    ("0", PriorityLevel::Emergency),
    ("1", PriorityLevel::Critical),
    ("2", PriorityLevel::High),
    ("3", PriorityLevel::High),
    ("4", PriorityLevel::Normal),
];

/// The level of an r-value `namespace.value`; `None` if it is not known.
fn of_resource_priority(r_value: &str) -> Option<PriorityLevel> {
    let (namespace, value) = r_value.trim().split_once('.')?;
    let (_, values) = RESOURCE_PRIORITIES.iter().find(|(name, _)| name.eq_ignore_ascii_case(namespace))?;
    values.iter().find(|(name, _)| name.eq_ignore_ascii_case(value)).map(|(_, level)| *level)
}

/// The level of a Priority header field; `None` if its value is not one of RFC 3261.
fn of_priority(value: &str) -> Option<PriorityLevel> {
    match value.trim().to_ascii_lowercase().as_str() {
        "emergency" => Some(PriorityLevel::Emergency),
        "urgent" => Some(PriorityLevel::High),
        "normal" => Some(PriorityLevel::Normal),
        "non-urgent" => Some(PriorityLevel::Low),
        _ => None,
    }
}

/// What the header fields of a request say: the most urgent known value of Resource-Priority, else Priority.
pub fn priority_of_headers(head: &Head) -> Option<PriorityLevel> {
    let resource = head.list("Resource-Priority");
    let known = resource.iter().filter_map(|item| of_resource_priority(std::str::from_utf8(item).ok()?)).min();
    let subject = || of_priority(std::str::from_utf8(&head.header("Priority")?).ok()?);
    known.or_else(subject)
}
