//! Simulated callers: the load behind `ringworld demo` and `ringworld bench`, the softphone behind `ringworld call`,
//! and the test peers.
//!
//! Nothing in this folder uses a type or a function of the switch: the callers are the user agent of `ua`, and listen
//! with its Goertzel filters, so that one error cannot hide on both sides of a call.
//!
//! - [`run`] drives a fleet of callers by a [`Plan`] and reports in a [`Report`] what they measured and heard.
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
pub(crate) mod clock;
mod fleet;
mod group;
mod hearing;
mod media;
mod net;
mod plan;
mod report;
pub mod softphone;
mod tone;
mod worker;

pub use crate::ua::G711;
pub use answerer::{Answerer, Behaviour};
pub use fleet::{LoadError, run};
pub use plan::{Hears, Plan, Service};
pub use report::{HeardCount, Progress, Quantiles, Report};
