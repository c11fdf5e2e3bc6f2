//! Programming interfaces for those who build upon the switch. [`simple`] is for calls without a word of SIP, and its
//! names stand here, too; whoever wants the world itself takes [`crate::prelude`] and [`crate::engine`].

pub mod simple;

pub use simple::*;
