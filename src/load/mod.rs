//! Simulated callers: the load behind `ringworld demo` and `ringworld bench`, the softphone behind `ringworld call`,
//! and the test peers.
//!
//! Nothing in this folder uses a type or a function of the switch: it reads and writes its own SIP text, SDP, RTP and
//! G.711, runs its own transactions, and listens with its own Goertzel filters, so that one error cannot hide on both
//! sides of a call.
//!
//! - [`run`] drives a fleet of callers by a [`Plan`] and says in a [`Report`] what they went through and heard.
//! - [`softphone::call`] places one call.
//! - [`Answerer`] is the other side: it answers calls, and echoes or stays silent.
//!
//! ```no_run
//! use ringworld::load::{self, Plan, Service};
//!
//! let target = "127.0.0.1:5060".parse().unwrap();
//! let plan = Plan::new(target).with(Service::echo(100)).with(Service::rooms("demo", 10, 10));
//! let report = load::run(&plan, |progress| println!("{} of {}", progress.ended, progress.planned)).unwrap();
//! assert_eq!(report.echo.exact, 100);
//! ```

pub mod answerer;
pub(crate) mod call;
pub(crate) mod clock;
mod fleet;
pub(crate) mod g711;
mod group;
mod hearing;
mod media;
pub(crate) mod message;
mod net;
mod plan;
mod report;
pub(crate) mod rtp;
pub(crate) mod sdp;
pub mod softphone;
mod tone;
mod worker;
pub(crate) mod write;

pub use answerer::{Answerer, Behaviour};
pub use fleet::{LoadError, run};
pub use g711::G711;
pub use plan::{Hears, Plan, Service};
pub use report::{HeardCount, Progress, Quantiles, Report};

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// Calls `each` with every line of the sources in the folder.
    fn lines(folder: &Path, each: &mut impl FnMut(&Path, &str)) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                lines(&path, each);
            } else {
                std::fs::read_to_string(&path).unwrap().lines().for_each(|line| each(&path, line));
            }
        }
    }

    #[test]
    fn callers_share_nothing_with_the_switch() {
        let root = concat!("crate", "::");
        let strangers = ["components", "systems"].map(|name| format!("ringworld_{name}"));
        let mut seen = 0;
        lines(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/load"), &mut |path, line| {
            let leaves = line.split(root).skip(1).any(|rest| !rest.starts_with("load::"));
            let shares = strangers.iter().any(|name| line.contains(name));
            assert!(!leaves && !shares, "{}: {line}", path.display());
            seen += 1;
        });
        assert!(seen > 1_000);
    }
}
