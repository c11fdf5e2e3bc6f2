//! The configuration as a file: written with every default and a comment to each key, read with errors that say where.

use super::keys::{Allowed, KEYS, SECTIONS, find};
use super::{Config, SipListen};
use ringworld_components::call::Service;
use std::fmt;
use std::path::Path;
use toml::Value;

/// Why a configuration can't be used: one sentence that names file, line and key and says what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

/// The whole default configuration as TOML, with a comment to each key.
pub fn documented_default() -> String {
    let defaults = toml::to_string(&Config::default()).unwrap_or_default();
    let mut text = String::from(
        "# The configuration of `ringworld run --config FILE`, with every default. A file may leave out whatever is as\n\
         # it stands here.\n",
    );
    let mut section = "";
    for line in defaults.lines() {
        if let Some(name) = section_of(line) {
            section = name;
            let about = SECTIONS.iter().find(|(name, _)| *name == section).map_or("", |(_, about)| about);
            text.push_str(&format!("\n# {about}\n{line}\n"));
        } else if let Some(name) = key_of(line) {
            if let Some(key) = find(&format!("{section}.{name}")) {
                text.push_str(&format!("# {}\n# Allowed: {}.\n", key.what, key.allowed));
            }
            text.push_str(&format!("{line}\n"));
        }
    }
    text
}

impl Config {
    /// Reads a configuration file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            ConfigError(format!(
                "{}: can't be read ({error}); `ringworld config` prints one to start from",
                path.display()
            ))
        })?;
        Self::parse(&text, path)
    }

    /// Reads a configuration from text; `path` stands in errors.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let located = Located { text, path };
        let config: Self = toml::from_str(text).map_err(|error| located.syntax(&error))?;
        config.check_with(|key, what| located.value(key, what))?;
        Ok(config)
    }

    /// Checks what a type can't express: ranges, and names of services.
    ///
    /// ```
    /// let mut config = ringworld::config::Config::default();
    /// assert!(config.check().is_ok());
    /// config.network.worlds = 0;
    /// assert!(config.check().unwrap_err().to_string().contains("network.worlds"));
    /// ```
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_with(|key, what| ConfigError(wrong(key, what)))
    }

    fn check_with(&self, error: impl Fn(&str, &str) -> ConfigError) -> Result<(), ConfigError> {
        let table = Value::try_from(self).map_err(|problem| ConfigError(problem.to_string()))?;
        for key in KEYS {
            let value = key.name.split('.').try_fold(&table, |table, part| table.get(part));
            if let (Allowed::Numbers(from, to), Some(Value::Integer(number))) = (key.allowed, value)
                && !(from..=to).contains(number)
            {
                return Err(error(key.name, &number.to_string()));
            }
        }
        if !self.services.default.is_empty() && Service::named(&self.services.default).is_none() {
            return Err(error("services.default", &format!("{:?}", self.services.default)));
        }
        if self.network.sip.is_empty() {
            return Err(error("network.sip", "an empty list"));
        }
        if let Some(twice) = first_twice(&self.network.sip) {
            return Err(error("network.sip", &format!("{twice} twice")));
        }
        if self.media.codecs.is_empty() {
            return Err(error("media.codecs", "an empty list"));
        }
        if ![8_000, 16_000, 48_000].contains(&self.media.room_rate_hz_max) {
            return Err(error("media.room_rate_hz_max", &self.media.room_rate_hz_max.to_string()));
        }
        if !self.media.ptime_ms.is_multiple_of(10) {
            return Err(error("media.ptime_ms", &format!("{}, which is no multiple of 10", self.media.ptime_ms)));
        }
        Ok(())
    }
}

fn first_twice(listens: &[SipListen]) -> Option<SipListen> {
    let twice = |(n, listen): (usize, &SipListen)| listens.iter().take(n).any(|other| other == listen);
    listens
        .iter()
        .copied()
        .enumerate()
        .find(|(n, listen)| listen.address.port() != 0 && twice((*n, listen)))
        .map(|it| it.1)
}

fn wrong(key: &str, what: &str) -> String {
    let allowed = find(key).map(|key| key.allowed.to_string()).unwrap_or_default();
    format!("{key} is {what}; allowed: {allowed}")
}

/// A text and where it came from, to say where an error is.
struct Located<'t> {
    text: &'t str,
    path: &'t Path,
}

impl Located<'_> {
    fn syntax(&self, error: &toml::de::Error) -> ConfigError {
        let line =
            error.span().map_or(1, |span| self.text.get(..span.start).unwrap_or_default().matches('\n').count() + 1);
        let key = self.key_at(line);
        let known = key.as_deref().and_then(find);
        let subject = key.map(|key| format!("{key}: ")).unwrap_or_default();
        let allowed = known.map(|key| format!("; allowed: {}", key.allowed)).unwrap_or_default();
        let message = error.message().trim().replace('\n', "; ");
        ConfigError(format!("{}:{line}: {subject}{message}{allowed}", self.path.display()))
    }

    fn value(&self, key: &str, what: &str) -> ConfigError {
        let line = (1..=self.text.lines().count()).find(|&line| self.key_at(line).as_deref() == Some(key));
        let at = line.map(|line| format!(":{line}")).unwrap_or_default();
        ConfigError(format!("{}{at}: {}", self.path.display(), wrong(key, what)))
    }

    /// Section and name of the key that stands in a line.
    fn key_at(&self, line: usize) -> Option<String> {
        let name = key_of(self.text.lines().nth(line.checked_sub(1)?)?)?;
        let section = self.text.lines().take(line).filter_map(section_of).last();
        Some(section.map_or_else(|| name.to_owned(), |section| format!("{section}.{name}")))
    }
}

fn section_of(line: &str) -> Option<&str> {
    line.trim().strip_prefix('[')?.split(']').next().map(str::trim)
}

fn key_of(line: &str) -> Option<&str> {
    let (name, _) = line.split_once('=')?;
    let name = name.trim();
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
    is_name.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Config::parse(text, Path::new("switch.toml")).unwrap_err().to_string()
    }

    #[test]
    fn every_key_has_a_comment_and_no_comment_lacks_its_key() {
        let Value::Table(sections) = Value::try_from(Config::default()).unwrap() else { panic!("no table") };
        let mut keys = Vec::new();
        for (section, table) in &sections {
            assert!(SECTIONS.iter().any(|(name, _)| name == section), "[{section}] is not described");
            keys.extend(table.as_table().unwrap().keys().map(|name| format!("{section}.{name}")));
        }
        for name in &keys {
            let key = find(name).unwrap_or_else(|| panic!("{name} is not described"));
            assert!(documented_default().contains(key.what), "{name}");
        }
        for key in KEYS {
            assert!(keys.iter().any(|name| name == key.name), "{} does not exist", key.name);
        }
    }

    #[test]
    fn what_is_printed_is_the_default() {
        assert_eq!(Config::parse(&documented_default(), Path::new("printed")).unwrap(), Config::default());
    }

    #[test]
    fn a_wrong_key_is_named_with_file_and_line_and_what_there_is() {
        let error = refused("[network]\n\nrtp_prots = \"1-2\"");
        assert!(error.starts_with("switch.toml:3: network.rtp_prots: "), "{error}");
        assert!(error.contains("rtp_ports"), "{error}");
    }

    #[test]
    fn a_wrong_value_is_named_with_what_is_allowed() {
        for (text, start, allowed) in [
            ("[network]\nworlds = 0", "switch.toml:2: network.worlds is 0", "1 to 255"),
            ("[network]\nworlds = 300", "switch.toml:2: network.worlds: ", "1 to 255"),
            ("[network]\nworlds = \"two\"", "switch.toml:2: network.worlds: ", "1 to 255"),
            ("[network]\nrtp_ports = \"9-8\"", "switch.toml:2: network.rtp_ports: ", "FIRST-LAST"),
            ("[network]\nsip = [\"sctp:1.2.3.4:5\"]", "switch.toml:2: network.sip: ", "udp:ADDRESS:PORT"),
            ("[network]\nsip = []", "switch.toml:2: network.sip is an empty list", "udp:ADDRESS:PORT"),
            ("[record]\nmedia = \"some\"", "switch.toml:2: record.media: ", "headers"),
            ("# a comment\n[services]\ndefault = \"ecko\"", "switch.toml:3: services.default is \"ecko\"", "conf-NAME"),
            ("[media]\ncodecs = [\"G729\"]", "switch.toml:2: media.codecs: ", "PCMA"),
            ("[media]\nroom_rate_hz_max = 44100", "switch.toml:2: media.room_rate_hz_max is 44100", "16000"),
            ("[media]\nptime_ms = 25", "switch.toml:2: media.ptime_ms is 25", "10 to 60"),
            ("[sip]\nadvertised_address = \"home\"", "switch.toml:2: sip.advertised_address: ", "an IP address"),
        ] {
            let error = refused(text);
            assert!(error.starts_with(start) && error.contains(allowed), "{text:?}: {error}");
        }
    }

    #[test]
    fn the_same_address_twice_is_refused() {
        let error = refused("[network]\nsip = [\"udp:127.0.0.1:5060\", \"udp:127.0.0.1:5060\"]");
        assert!(error.contains("udp:127.0.0.1:5060 twice"), "{error}");
    }

    #[test]
    fn text_that_is_no_toml_is_refused_with_its_line() {
        assert!(refused("[network]\nworlds = \n").starts_with("switch.toml:2: "));
        assert!(refused("worlds").starts_with("switch.toml:1: "));
    }
}
