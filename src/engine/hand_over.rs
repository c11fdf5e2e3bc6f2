//! One process takes a switch over from another.

use super::network::prepare_net;
use super::prepare::Beginnings;
use super::runner::Parked;
use super::summary::Summary;
use super::switch::{Extend, Running, StartError, Switch};
use crate::config::Config;
use crate::state::{Door, Heir, Legacy, StateError, Successor};

/// The result of a hand-over that another process asked for.
pub enum HandOver {
    /// Another process has it now; this was its summary.
    Gone(Heir, Box<Summary>),
    /// It goes on in this process, for this reason.
    Stays(Box<Switch>, String),
}

impl Switch {
    /// Takes over from the process that runs on the state folder: its sockets, its calls. If that fails, that process
    /// goes on.
    pub fn take_over(config: &Config, extend: Extend) -> Result<Self, StartError> {
        let legacy = Legacy::ask(&config.state.folder)?;
        let network = &config.network;
        let sip: Vec<_> = network.sip.iter().map(|listen| (listen.transport, listen.address)).collect();
        let fits = legacy.fits(&sip, (network.rtp_ports.first, network.rtp_ports.last));
        let (folder, sockets, verdict) = legacy.split();
        let switch = fits
            .map_err(StartError::from)
            .and_then(|()| Self::begin(config, extend, Some(folder), sockets, || verdict.ready()));
        if let Err(error) = &switch {
            verdict.refuse(error.to_string());
        }
        switch
    }

    /// Opens the socket for a process that wants to take over; `None` without a state folder.
    pub fn open_door(&self) -> Option<Result<Door, StateError>> {
        self.folder.as_ref().as_ref().map(Door::open)
    }

    /// Stops at a tick and hands everything over, or goes on if the other process refuses.
    ///
    /// # Errors
    /// The other process did not take it, and the network could not be started again.
    pub fn hand_over(self, to: &Successor) -> Result<HandOver, StartError> {
        for running in &self.worlds {
            running.shared.park();
        }
        let parked: Vec<_> = self.worlds.iter().map(|running| running.parked.recv().ok()).collect();
        let Self { config, folder, net, resumed, worlds, numbers, taken_up } = self;
        let counted = net.counters().snapshot();
        let mut sockets = net.halt();
        let (mut beginnings, mut why) = (Vec::new(), None);
        for world in parked {
            let Some(Parked { beginnings: world, leftovers, failed }) = world else {
                why = Some("the thread of a world has ended".to_owned());
                beginnings.push(Beginnings::default());
                continue;
            };
            // After the network threads have ended, so nothing more can arrive.
            sockets.untaken.extend(leftovers.take());
            beginnings.push(world);
            why = why.or(failed);
        }
        let given = match (folder.as_ref(), why) {
            (Some(folder), None) => to.give(folder, &sockets),
            (_, why) => {
                let why = why.unwrap_or_else(|| "there is no state folder".to_owned());
                to.turn_away(&why);
                Err(why)
            }
        };
        // From here on the other process may run, so this one must end.
        let given = given.and_then(|heir| to.let_go().map(|()| heir).map_err(|error| error.to_string()));
        match given {
            Ok(heir) => {
                let mut total = Summary::default();
                for Running { edges, thread, .. } in worlds {
                    drop(edges);
                    if let Ok(Some(summary)) = thread.join() {
                        total.add(&summary);
                    }
                }
                total.network = counted;
                total.network.tcp_left_behind += heir.left_behind as u64;
                Ok(HandOver::Gone(heir, Box::new(total)))
            }
            Err(why) => {
                let resumed = resumed + 1;
                let (mut net, edges) = prepare_net(&config, &beginnings, resumed, sockets)?;
                net.open();
                let worlds = worlds.into_iter().zip(edges).map(|(running, edge)| {
                    let commands = edge.commands();
                    let _ = running.edges.send(edge);
                    Running { commands, ..running }
                });
                let worlds = worlds.collect();
                let switch = Self { config, folder, net, resumed, worlds, numbers, taken_up };
                Ok(HandOver::Stays(Box::new(switch), why))
            }
        }
    }
}
