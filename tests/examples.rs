//! Every example runs to its end by itself and succeeds.

use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// One after the other: some measure audio, and the machine may be slow.
static TURN: Mutex<()> = Mutex::new(());

fn runs(example: &str) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).args(["run", "--quiet", "--example", example]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let output = cargo.output().expect("cargo runs");
    let (told, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{example}: {}\n{told}\n{complained}", output.status);
}

#[test]
fn simple_server() {
    runs("simple_server");
}

#[test]
fn simple_client() {
    runs("simple_client");
}

#[test]
fn plugin_server() {
    runs("plugin_server");
}

#[test]
fn selective_handler() {
    runs("selective_handler");
}

#[test]
fn conference() {
    runs("conference");
}

#[test]
fn replay() {
    runs("replay");
}

#[test]
fn dependencies() {
    runs("dependencies");
}

#[test]
fn sequence() {
    runs("sequence");
}

#[test]
fn groups() {
    runs("groups");
}

#[test]
fn priority() {
    runs("priority");
}

#[test]
fn resources() {
    runs("resources");
}
