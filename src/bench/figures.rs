//! What was measured, and how it is printed.

use super::Conditions;
use serde::Serialize;
use std::fmt::Write;

/// What a figure should be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
}

impl Bound {
    /// Whether `value` keeps it.
    pub fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }
}

/// One measured value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// How much it is.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
    /// What it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Bound>,
    /// Whether it is that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub met: Option<bool>,
    /// Whether the command fails if it is not. So do figures that say whether all went right; how fast it went depends
    /// on the machine.
    pub must: bool,
}

/// All figures of one run, with its conditions.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// What was measured, in a few words.
    pub bench: String,
    /// Where and how.
    pub conditions: Conditions,
    /// In the order in which they were taken.
    pub figures: Vec<Figure>,
    /// What a reader should know besides.
    pub notes: Vec<String>,
}

impl Figures {
    pub(super) fn new(bench: impl Into<String>, conditions: Conditions) -> Self {
        Self { bench: bench.into(), conditions, figures: Vec::new(), notes: Vec::new() }
    }

    fn push(&mut self, name: &str, value: f64, unit: &'static str, target: Option<Bound>, must: bool) {
        let met = target.map(|bound| bound.holds(value));
        self.figures.push(Figure { name: name.to_owned(), value, unit, target, met, must });
    }

    /// Adds a value without a target.
    pub(super) fn tell(&mut self, name: &str, value: f64, unit: &'static str) {
        self.push(name, value, unit, None, false);
    }

    /// Adds a value with a target that depends on the machine.
    pub(super) fn aim(&mut self, name: &str, value: f64, unit: &'static str, target: Bound) {
        self.push(name, value, unit, Some(target), false);
    }

    /// Adds a value that must keep its target, or the command fails.
    pub(super) fn must(&mut self, name: &str, value: f64, unit: &'static str, target: Bound) {
        self.push(name, value, unit, Some(target), true);
    }

    /// Adds a remark.
    pub(super) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Whether everything that must be is.
    pub fn all_right(&self) -> bool {
        self.figures.iter().all(|figure| !figure.must || figure.met != Some(false))
    }

    /// The figures as a table.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n", self.bench);
        let name_width = self.figures.iter().map(|figure| figure.name.chars().count()).max().unwrap_or(0);
        let values: Vec<String> = self.figures.iter().map(|figure| number(figure.value)).collect();
        let value_width = values.iter().map(String::len).max().unwrap_or(0);
        for (figure, value) in self.figures.iter().zip(&values) {
            let mut line = format!("  {:name_width$}  {value:>value_width$} {}", figure.name, figure.unit);
            if let (Some(target), Some(met)) = (figure.target, figure.met) {
                let (relation, bound) = match target {
                    Bound::AtMost(most) => ("at most", most),
                    Bound::AtLeast(least) => ("at least", least),
                };
                let verdict = if met { "met" } else { "MISSED" };
                let _ = write!(line, "  (target: {relation} {}: {verdict})", number(bound));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        for note in &self.notes {
            let _ = writeln!(text, "  note: {note}");
        }
        text.push_str(&self.conditions.text());
        text
    }
}

/// A value with a fitting number of digits.
fn number(value: f64) -> String {
    match value.abs() {
        _ if value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 1_000.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_must_be_decides() {
        let mut figures = Figures::new("test", Conditions::default());
        figures.aim("slow", 7.0, "us", Bound::AtMost(6.0));
        assert!(figures.all_right());
        figures.must("calls", 100.0, "", Bound::AtLeast(100.0));
        assert!(figures.all_right());
        figures.must("failures", 1.0, "", Bound::AtMost(0.0));
        assert!(!figures.all_right());
    }

    #[test]
    fn a_missed_target_is_shown_as_such() {
        let mut figures = Figures::new("test", Conditions::default());
        figures.aim("slow", 7.25, "us", Bound::AtMost(6.0));
        figures.aim("many", 12_345.6, "calls", Bound::AtLeast(5.0));
        let text = figures.text();
        assert!(text.contains("slow   7.25 us  (target: at most 6: MISSED)"), "{text}");
        assert!(text.contains("many  12346 calls  (target: at least 5: met)"), "{text}");
    }
}
