//! `ringworld config`: the whole default configuration, or the check of a file.

use super::output::print;
use super::{USAGE, fail};
use crate::config::{Config, documented_default};
use std::path::PathBuf;
use std::process::ExitCode;

/// The arguments of `ringworld config`.
#[derive(clap::Args, Debug)]
pub struct ConfigArgs {
    /// Check this file in place of printing the defaults.
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
}

/// Prints or checks.
pub fn run(args: ConfigArgs) -> ExitCode {
    let Some(file) = args.check else {
        print(&documented_default());
        return ExitCode::SUCCESS;
    };
    match Config::load(&file) {
        Ok(_) => {
            print(&format!("{}: all right\n", file.display()));
            ExitCode::SUCCESS
        }
        Err(error) => fail(USAGE, error),
    }
}
