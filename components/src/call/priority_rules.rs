//! The rules of the settings that give calls their priority.

use super::priority::priority_of_headers;
use super::{Priority, PriorityLevel, PrioritySource, QosClass};
use crate::record::Record;
use crate::wire::sip::{Head, Uri};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Which of the two URIs of a call a rule looks at.
#[derive(Record, Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleField {
    /// The URI of From.
    From,
    /// The Request-URI.
    To,
}

/// A rule, as text `from|to USER LEVEL [CLASS]`: calls whose URI has this user part get this priority. A `*` at the end
/// of the user stands for anything.
///
/// ```
/// use ringworld_components::call::{PriorityLevel, PriorityRule, QosClass};
/// let rule: PriorityRule = "to 112 emergency expedited".parse().unwrap();
/// assert_eq!((rule.level, rule.class), (PriorityLevel::Emergency, QosClass::ExpeditedForwarding));
/// assert_eq!(rule.to_string(), "to 112 emergency expedited");
/// assert!("to 112 pressing".parse::<PriorityRule>().is_err());
/// ```
#[derive(Record, Clone, Debug, PartialEq, Eq)]
pub struct PriorityRule {
    /// Which URI.
    pub field: RuleField,
    /// Its user part; with a `*` at the end, how that begins.
    pub user: String,
    /// The level.
    pub level: PriorityLevel,
    /// The class.
    pub class: QosClass,
}

impl PriorityRule {
    fn matches(&self, from: &[u8], to: &[u8]) -> bool {
        let uri = if self.field == RuleField::From { from } else { to };
        let Some(user) = Uri::parse(bytes::Bytes::copy_from_slice(uri)).ok().and_then(|uri| uri.user()) else {
            return false;
        };
        match self.user.strip_suffix('*') {
            Some(beginning) => user.starts_with(beginning.as_bytes()),
            None => *user == *self.user.as_bytes(),
        }
    }
}

impl fmt::Display for PriorityRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = if self.field == RuleField::From { "from" } else { "to" };
        write!(f, "{field} {} {}", self.user, self.level.as_str())?;
        if self.class == QosClass::default() { Ok(()) } else { write!(f, " {}", self.class.as_str()) }
    }
}

impl FromStr for PriorityRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || format!("{text:?} is not \"from|to USER LEVEL [CLASS]\"");
        let mut words = text.split_ascii_whitespace();
        let field = match words.next() {
            Some("from") => RuleField::From,
            Some("to") => RuleField::To,
            _ => return Err(refused()),
        };
        let user = words.next().ok_or_else(refused)?.to_owned();
        let level = words.next().and_then(|word| PriorityLevel::ALL.into_iter().find(|it| it.as_str() == word));
        let class = match words.next() {
            None => Some(QosClass::default()),
            Some(word) => QosClass::ALL.into_iter().find(|it| it.as_str() == word),
        };
        match (level, class, words.next()) {
            (Some(level), Some(class), None) => Ok(Self { field, user, level, class }),
            _ => Err(refused()),
        }
    }
}

impl Serialize for PriorityRule {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PriorityRule {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What sets priorities.
#[derive(Record, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct PrioritySettings {
    /// The rules; the first that matches a call wins, also over its header fields.
    pub rules: Vec<PriorityRule>,
    /// Whether Priority and Resource-Priority of an INVITE count.
    pub from_headers: bool,
}

impl Default for PrioritySettings {
    fn default() -> Self {
        Self { rules: Vec::new(), from_headers: true }
    }
}

impl PrioritySettings {
    /// The priority of a new call between these URIs; `head` is that of its INVITE, if a peer sent it.
    pub fn of_call(&self, from: &[u8], to: &[u8], head: Option<&Head>) -> Priority {
        if let Some(rule) = self.rules.iter().find(|rule| rule.matches(from, to)) {
            return Priority { level: rule.level, class: rule.class, source: PrioritySource::Rule };
        }
        match head.filter(|_| self.from_headers).and_then(priority_of_headers) {
            Some(level) => Priority { level, source: PrioritySource::Header, ..Priority::default() },
            None => Priority::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sip::{Limits, Message, parse_datagram};

    fn head(headers: &str) -> Head {
        let text = format!(
            "INVITE sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
             From: <sip:a@h>;tag=a\r\nTo: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nContact: <sip:a@10.0.0.2>\r\n\
             {headers}Content-Length: 0\r\n\r\n"
        );
        match parse_datagram(text.into(), &Limits::default()) {
            Ok(Message::Request(request)) => request.head,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn header_fields_are_read_by_their_tables() {
        let cases = [
            ("Priority: emergency\r\n", Some(PriorityLevel::Emergency)),
            ("Priority: Non-Urgent\r\n", Some(PriorityLevel::Low)),
            ("Priority: whenever\r\n", None),
            ("Resource-Priority: dsn.flash\r\n", Some(PriorityLevel::Critical)),
            ("Resource-Priority: unknown.1, WPS.4, ets.1\r\n", Some(PriorityLevel::Critical)),
            ("Resource-Priority: unknown.1\r\nPriority: urgent\r\n", Some(PriorityLevel::High)),
            ("Resource-Priority: q735.4\r\nPriority: emergency\r\n", Some(PriorityLevel::Normal)),
            ("", None),
        ];
        for (headers, expected) in cases {
            assert_eq!(priority_of_headers(&head(headers)), expected, "{headers}");
        }
    }

    #[test]
    fn the_first_rule_that_matches_wins_over_header_fields() {
        let rules = ["from +49* high video", "to 112 emergency", "to 1* low"].map(|text| text.parse().unwrap());
        let mut settings = PrioritySettings { rules: rules.into(), from_headers: true };
        let urgent = head("Priority: urgent\r\n");
        let of = |settings: &PrioritySettings, from: &str, to: &str| {
            settings.of_call(from.as_bytes(), to.as_bytes(), Some(&urgent))
        };
        let level = |from, to| (of(&settings, from, to).level, of(&settings, from, to).source);
        assert_eq!(level("sip:a@h", "sip:112@h"), (PriorityLevel::Emergency, PrioritySource::Rule));
        assert_eq!(level("sip:a@h", "sip:113@h"), (PriorityLevel::Low, PrioritySource::Rule));
        assert_eq!(level("sip:a@h", "sip:1@h"), (PriorityLevel::Low, PrioritySource::Rule));
        assert_eq!(level("sip:a@h", "sip:b@h"), (PriorityLevel::High, PrioritySource::Header));
        assert_eq!(of(&settings, "sip:+491@h", "sip:112@h").class, QosClass::Video);
        settings.from_headers = false;
        assert_eq!(of(&settings, "sip:a@h", "sip:b@h"), Priority::default());
    }
}
