//! Programming interfaces for applications that use the switch. [`simple`] handles calls and hides SIP; its
//! names are re-exported here. An application that needs the world uses [`crate::prelude`] and [`crate::engine`].

pub mod simple;

pub use simple::*;
