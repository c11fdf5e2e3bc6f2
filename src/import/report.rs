//! The result of an import: what was used, what the engine could not be asked for, and where it differs from the host.

use super::account::Account;
use std::fmt;
use std::time::Duration;

/// The result of an import.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was used.
    pub account: Account,
    /// The time of the first frame, in milliseconds since 1970 (UTC).
    pub began_unix_ms: u64,
    /// Ticks recorded.
    pub ticks: u64,
    /// Calls, and other exchanges with a Call-ID of their own.
    pub calls: u64,
    /// Messages of the host that the engine's are like.
    pub alike: u64,
    /// Messages that differ, by time.
    pub differences: Vec<Difference>,
    /// Messages that the host sent of its own accord and the engine did not, by time.
    pub not_repeated: Vec<NotRepeated>,
}

/// A message in which the engine differs from the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// When the host sent it; when the engine did, if the host did not. Counted from the first frame.
    pub at: Duration,
    /// The Call-ID.
    pub call_id: String,
    /// The request that it answers, or its own method, in words.
    pub about: String,
    /// In what they differ.
    pub points: Vec<Point>,
    /// Why, where that is known.
    pub because: Option<String>,
}

/// One thing in which two messages differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// What it is: `status`, `codecs`, `Contact` ...; `message` if one of the two is missing.
    pub what: String,
    /// What it is in the capture; `None`: there is none.
    pub captured: Option<String>,
    /// What it is with the engine.
    pub engine: Option<String>,
}

/// A message that the host sent of its own accord and that the engine can't be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotRepeated {
    /// When, counted from the first frame.
    pub at: Duration,
    /// The Call-ID.
    pub call_id: String,
    /// The method.
    pub method: String,
    /// Why.
    pub because: &'static str,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_none = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
        write!(f, "{}: captured {}, the engine {}", self.what, or_none(&self.captured), or_none(&self.engine))
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9.3} s  {}  {}", self.at.as_secs_f64(), self.call_id, self.about)?;
        if let Some(because) = &self.because {
            write!(f, " ({because})")?;
        }
        self.points.iter().try_for_each(|point| write!(f, "\n{:13}{point}", ""))
    }
}

impl fmt::Display for NotRepeated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, call_id, method, because } = self;
        write!(f, "{:>9.3} s  {call_id}  not repeated: {method}, {because}", at.as_secs_f64())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let began = crate::inspect::utc(self.began_unix_ms);
        writeln!(f, "from {began}, {} ticks\n{}\n", self.ticks, self.account)?;
        self.not_repeated.iter().try_for_each(|message| writeln!(f, "{message}"))?;
        writeln!(
            f,
            "{} calls and other exchanges; {} messages of the host are like the engine's",
            self.calls, self.alike
        )?;
        match self.differences.len() {
            0 => writeln!(f, "no message differs"),
            count => {
                writeln!(f, "{count} messages differ:")?;
                self.differences.iter().try_for_each(|difference| writeln!(f, "{difference}"))
            }
        }
    }
}
