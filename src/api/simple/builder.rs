//! Puts a session manager together.

use super::handler::AnyHandler;
use super::{AutoAnswerHandler, CallHandler, Error, SessionConfig, SessionManager};
use crate::engine::{Extend, Plugins};
use bevy_app::Plugin;
use std::fmt;
use std::sync::Arc;

/// What a [`SessionManager`] is made of: its configuration, its handler and the plugins of its worlds.
///
/// ```
/// use ringworld::api::simple::{AutoAnswerHandler, Error, SessionConfig, SessionManager};
/// use ringworld::prelude::*;
/// use std::sync::Arc;
///
/// #[derive(Clone)]
/// struct MyPlugin;
///
/// impl Plugin for MyPlugin {
///     fn build(&self, _: &mut App) {}
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Error> {
/// let manager = SessionManager::builder()
///     .config(SessionConfig::server("127.0.0.1:0")?)
///     .plugin(MyPlugin)
///     .handler(Arc::new(AutoAnswerHandler))
///     .start()
///     .await?;
/// manager.stop().await?;
/// # Ok(())
/// # }
/// ```
pub struct SessionManagerBuilder {
    pub(super) config: SessionConfig,
    pub(super) handler: Arc<dyn AnyHandler>,
    changes: Vec<Extend>,
}

impl SessionManagerBuilder {
    pub(super) fn new() -> Self {
        Self { config: SessionConfig::client(), handler: Arc::new(AutoAnswerHandler), changes: Vec::new() }
    }

    /// The configuration. The default is that of [`SessionConfig::client`].
    pub fn config(self, config: SessionConfig) -> Self {
        Self { config, ..self }
    }

    /// The handler that decides about calls. The default answers all calls.
    pub fn handler(self, handler: Arc<impl CallHandler>) -> Self {
        Self { handler, ..self }
    }

    /// Adds a plugin to every world, behind those that are there. It is cloned for each world, and for each world that
    /// is restored from a snapshot.
    pub fn plugin<P: Plugin + Clone>(self, plugin: P) -> Self {
        self.plugins(move |plugins| {
            plugins.add(plugin.clone());
        })
    }

    /// Changes the list of plugins of every world, such as to disable or replace a stock plugin.
    pub fn plugins(mut self, change: impl Fn(&mut Plugins) + Send + Sync + 'static) -> Self {
        self.changes.push(Arc::new(change));
        self
    }

    /// Makes the manager. Nothing is opened yet. To be called inside a tokio runtime.
    ///
    /// # Errors
    /// The configuration makes no sense, or there is no runtime.
    pub async fn build(self) -> Result<SessionManager, Error> {
        SessionManager::of(self)
    }

    /// Makes the manager and starts it at the addresses of its configuration.
    ///
    /// # Errors
    /// As [`SessionManagerBuilder::build`], or the switch can't start: an address is in use, or the list of plugins
    /// can't be built.
    pub async fn start(self) -> Result<SessionManager, Error> {
        let manager = self.build().await?;
        manager.start().await?;
        Ok(manager)
    }

    /// All changes of the list of plugins, in the order in which they were given.
    pub(super) fn extend(&mut self) -> Extend {
        let changes = std::mem::take(&mut self.changes);
        Arc::new(move |plugins| changes.iter().for_each(|change| change(plugins)))
    }
}

impl fmt::Debug for SessionManagerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionManagerBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}
