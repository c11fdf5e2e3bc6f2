//! `ringworld diff`: where two recordings begin to differ.

use super::output::print;
use super::{FAILED, USAGE, fail};
use crate::replay::{Comparison, Parting, ReplayError, ReplayOptions, compare};
use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Resources and components that are named at most.
const NAMED_MAX: usize = 8;

/// The arguments of `ringworld diff`.
#[derive(clap::Args, Debug)]
pub struct DiffArgs {
    /// A recording.
    a: PathBuf,
    /// Another one of the same build.
    b: PathBuf,
}

/// Compares. The exit code is 0 if the recordings are the same to the end, 1 if they differ or one is damaged, 2 if one
/// can't be opened.
pub fn run(args: DiffArgs) -> ExitCode {
    match compare(&args.a, &args.b, &ReplayOptions::default()) {
        Ok(comparison) => {
            print(&in_words(&comparison));
            if comparison.parting.is_none() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
        }
        Err(error @ (ReplayError::Io { .. } | ReplayError::NotARecording { .. })) => fail(USAGE, error),
        Err(error) => fail(FAILED, error),
    }
}

// Writing to a string can't fail, so the results of `writeln!` below are of no interest.
fn in_words(comparison: &Comparison) -> String {
    let mut text = String::new();
    for line in &comparison.configuration {
        let _ = writeln!(text, "before the first tick: {line}");
    }
    let Some(parting) = &comparison.parting else {
        let _ = writeln!(text, "the recordings are the same to their end at tick {}", comparison.same_to);
        return text;
    };
    let _ = writeln!(text, "tick {} is the first that differs", parting.tick);
    tell(parting, &mut text);
    text
}

fn tell(parting: &Parting, text: &mut String) {
    if parting.only_in_one {
        let _ = writeln!(text, "one of the recordings ends before it");
    } else if parting.inputs_differ {
        let _ = writeln!(text, "its inputs differ");
    }
    if let Some((a, b)) = &parting.outputs {
        let _ = writeln!(text, "the first output that differs:\n  a: {a}\n  b: {b}");
    }
    if let Some((id, components)) = &parting.entity {
        let _ = writeln!(text, "the first entity that differs: {id}");
        for (name, a, b) in components.iter().take(NAMED_MAX) {
            let _ = writeln!(text, "  {name}\n    a: {a}\n    b: {b}");
        }
    }
    let resources: Vec<_> = parting.differences.iter().filter(|difference| difference.entity.is_none()).collect();
    for resource in resources.iter().take(NAMED_MAX) {
        let _ = writeln!(text, "{resource}");
    }
    let others = parting.differences.iter().filter_map(|difference| difference.entity);
    let mut others: Vec<_> = others.collect();
    others.dedup();
    if others.len() > 1 {
        let _ = writeln!(text, "{} more entities differ", others.len() - 1);
    }
}
