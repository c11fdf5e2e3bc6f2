//! A server that answers calls, in three lines.
//!
//! ```
//! use ringworld::api::simple::{AutoAnswerHandler, Error, SessionConfig, SessionManager};
//! use std::sync::Arc;
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Error> {
//!     let m = SessionManager::new(SessionConfig::server("127.0.0.1:5060")?).await?;
//!     m.set_call_handler(Arc::new(AutoAnswerHandler)).await?;
//!     m.start_server("127.0.0.1:5060".parse()?).await?;
//!     // Until it is stopped, every call to that address is answered and hears itself.
//!     m.stop().await?;
//!     Ok(())
//! }
//! ```
//!
//! A [`CallHandler`] decides about calls and is told about their progress; [`SessionManager::make_call`] places one;
//! [`SessionManager::builder`] takes plugins for the worlds.
//! Handlers run as tokio tasks outside the world. One that panics or never returns affects its own call alone: when the
//! world's deadline has passed ([`SessionConfig::deferral`]) the call is refused with 480 (Temporarily Unavailable).

mod address;
mod builder;
mod call;
mod calls;
mod config;
mod dispatch;
mod error;
mod handler;
mod manager;

pub use crate::engine::Summary;
pub use builder::SessionManagerBuilder;
pub use call::{CallEnding, CallMedia, CallSession, CallState, IncomingCall, SessionId};
pub use config::SessionConfig;
pub use error::Error;
pub use handler::{AutoAnswerHandler, CallAction, CallHandler, RejectReason};
pub use manager::SessionManager;
pub use ringworld_components::call::{
    CallError, CallErrorCause, DialogStanding, EndCause, ErrorContext, MediaStanding,
};
