//! The `ringworld` command as a process: exit codes, sentences, signals and summaries.

mod call;
#[path = "../common/mod.rs"]
mod common;
mod configuration;
mod demo;
mod process;
mod replay;
mod run;
mod service;
#[path = "../town/mod.rs"]
mod town;
