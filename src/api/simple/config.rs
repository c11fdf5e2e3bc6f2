//! The settings of a session manager.

use super::Error;
use crate::config::{Config, PortRange, SipListen};
use ringworld_components::edge::Transport;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How a [`SessionManager`](super::SessionManager) is to run. All that a configuration file can hold is reachable by
/// [`SessionConfig::with`].
///
/// ```
/// use ringworld::api::simple::SessionConfig;
/// use std::time::Duration;
///
/// let config = SessionConfig::server("127.0.0.1:5060")?
///     .service("conf-lobby")
///     .rtp_ports(20_000, 20_100)?
///     .deferral(Duration::from_secs(10));
/// # Ok::<(), ringworld::api::simple::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SessionConfig {
    config: Config,
}

impl SessionConfig {
    /// A server at this address, over UDP and TCP. Port 0 lets the system choose.
    pub fn server(address: &str) -> Result<Self, Error> {
        let expected = "ADDRESS:PORT, such as 127.0.0.1:5060";
        let address = address.parse().map_err(|_| Error::Address { given: address.to_owned(), expected })?;
        Ok(Self::from(Config::default()).listening(address))
    }

    /// A client on this machine's own network: it places calls from a port that the system chooses.
    pub fn client() -> Self {
        Self::from(Config::default()).listening(SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    /// The service that answered and placed calls are connected to: `echo` (the default), `tone`, `tone-HZ`, `silence`
    /// or `conf-NAME`.
    pub fn service(self, name: &str) -> Self {
        self.with(|config| config.services.default = name.to_owned())
    }

    /// The ports that audio may use, first and last.
    pub fn rtp_ports(self, first: u16, last: u16) -> Result<Self, Error> {
        let range: PortRange = format!("{first}-{last}").parse().map_err(Error::Invalid)?;
        Ok(self.with(|config| config.network.rtp_ports = range))
    }

    /// How long a handler may take to decide about a call; rounded up to seconds.
    pub fn deferral(self, time: Duration) -> Self {
        let seconds = u32::try_from(time.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
        self.with(|config| config.timers.deferral_s = seconds)
    }

    /// The file to record into, for `ringworld replay`.
    pub fn record(self, file: impl Into<PathBuf>) -> Self {
        self.with(|config| config.record.file = file.into())
    }

    /// Changes any setting.
    pub fn with(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// The same with other addresses to listen at.
    pub(super) fn listening(self, address: SocketAddr) -> Self {
        let at = |transport| SipListen { transport, address };
        self.with(|config| config.network.sip = vec![at(Transport::Udp), at(Transport::Tcp)])
    }

    /// The whole configuration, checked. A handler always decides.
    pub(super) fn checked(mut self) -> Result<Config, Error> {
        self.config.services.ask_handler = true;
        self.config.check()?;
        Ok(self.config)
    }

    pub(super) fn service_name(&self) -> &str {
        self.config.services.default_or_echo()
    }
}

impl From<Config> for SessionConfig {
    fn from(config: Config) -> Self {
        Self { config }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_listens_over_both_transports_and_asks_its_handler() {
        let config = SessionConfig::server("127.0.0.1:5070").unwrap().checked().unwrap();
        let listens: Vec<_> = config.network.sip.iter().map(ToString::to_string).collect();
        assert_eq!(listens, ["udp:127.0.0.1:5070", "tcp:127.0.0.1:5070"]);
        assert!(config.services.ask_handler);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let error = SessionConfig::server("localhost").unwrap_err().to_string();
        assert!(error.contains("\"localhost\"") && error.contains("127.0.0.1:5060"), "{error}");
        assert!(SessionConfig::client().rtp_ports(9, 8).is_err());
        let error = SessionConfig::client().service("ecko").checked().unwrap_err().to_string();
        assert!(error.contains("services.default") && error.contains("conf-NAME"), "{error}");
    }

    #[test]
    fn part_of_a_second_to_decide_is_a_whole_one() {
        let config = SessionConfig::client().deferral(Duration::from_millis(10)).checked().unwrap();
        assert_eq!(config.timers.deferral_s, 1);
    }
}
