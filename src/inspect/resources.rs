//! Prints what calls use.

use bevy_ecs::prelude::*;
use ringworld_components::call::{Accounts, Amounts};
use ringworld_components::sip::{Dialog, DialogState};
use std::fmt;

/// What the calls of a world use, and how many there are of each kind.
///
/// ```
/// use ringworld::engine::{Engine, WorldConfig};
/// use ringworld::inspect::ResourceReport;
/// let engine = Engine::new(&WorldConfig::default());
/// assert_eq!(ResourceReport::of(engine.world()), ResourceReport::default());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceReport {
    /// What is charged.
    pub used: Amounts,
    /// Dialogs that are early (RFC 3261 section 12).
    pub dialogs_early: u64,
    /// Dialogs that are confirmed.
    pub dialogs_confirmed: u64,
    /// The users that have sessions, with how many.
    pub users: Vec<(String, u32)>,
    /// The endpoints that have sessions, with how many.
    pub endpoints: Vec<(std::net::IpAddr, u32)>,
}

impl ResourceReport {
    /// That of a world. Looks at every dialog.
    pub fn of(world: &World) -> Self {
        let Some(accounts) = world.get_resource::<Accounts>() else { return Self::default() };
        let mut report = Self {
            used: accounts.used(),
            users: accounts.users().map(|(user, count)| (String::from_utf8_lossy(user).into_owned(), count)).collect(),
            endpoints: accounts.endpoints().collect(),
            ..Self::default()
        };
        if let Some(mut dialogs) = world.try_query::<&Dialog>() {
            for dialog in dialogs.iter(world) {
                match dialog.state {
                    DialogState::Early => report.dialogs_early += 1,
                    DialogState::Confirmed => report.dialogs_confirmed += 1,
                }
            }
        }
        report
    }
}

impl fmt::Display for ResourceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Amounts { sessions, ports, bandwidth_kbit_s, cpu_ppm, memory_kib } = self.used;
        write!(
            f,
            "{sessions} sessions of {} users at {} endpoints, dialogs: {} early and {} confirmed, {ports} port pairs; \
             charged: {bandwidth_kbit_s} kbit/s, {cpu_ppm} millionths of a core, {memory_kib} KiB",
            self.users.len(),
            self.endpoints.len(),
            self.dialogs_early,
            self.dialogs_confirmed
        )
    }
}
