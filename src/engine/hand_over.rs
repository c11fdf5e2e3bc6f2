//! One process takes a switch over from another.

use super::network::start_net;
use super::prepare::Beginnings;
use super::summary::Summary;
use super::switch::{Extend, Running, StartError, Switch};
use crate::config::Config;
use crate::state::{Door, Legacy, StateError, Successor};

/// What became of a switch that somebody wanted to take over.
pub enum HandOver {
    /// The process of that number has it now; this was its summary.
    Gone(u32, Box<Summary>),
    /// It goes on by itself, for this reason.
    Stays(Box<Switch>, String),
}

impl Switch {
    /// Takes over from the process that runs on the state folder: its sockets, its calls. If that can't be, it goes on.
    pub fn take_over(config: &Config, extend: Extend) -> Result<Self, StartError> {
        let (folder, sockets, verdict) = Legacy::ask(&config.state.folder)?.split();
        let switch = Self::begin(config, extend, Some(folder), sockets, || verdict.ready());
        if let Err(error) = &switch {
            verdict.refuse(error.to_string());
        }
        switch
    }

    /// Opens the way in for who wants to take over; `None` without a state folder.
    pub fn open_door(&self) -> Option<Result<Door, StateError>> {
        self.folder.as_ref().as_ref().map(Door::open)
    }

    /// Stops at a tick and hands everything over, or goes on if the other refuses.
    ///
    /// # Errors
    /// The other did not take it, and the network could not be started again.
    pub fn hand_over(self, to: &Successor) -> Result<HandOver, StartError> {
        for running in &self.worlds {
            running.shared.park();
        }
        let gone = |_| Err("the thread of a world has ended".to_owned());
        let parked: Vec<_> = self.worlds.iter().map(|running| running.parked.recv().unwrap_or_else(gone)).collect();
        let Self { config, folder, net, resumed, worlds, numbers, taken_up } = self;
        let counted = net.counters().snapshot();
        let sockets = net.halt();
        let mut beginnings = Vec::new();
        let mut why = None;
        for world in parked {
            match world {
                Ok(world) => beginnings.push(world),
                Err(error) => {
                    beginnings.push(Beginnings::default());
                    why = Some(error);
                }
            }
        }
        let given = match (folder.as_ref(), why) {
            (Some(folder), None) => to.give(folder, &sockets),
            (_, why) => {
                let why = why.unwrap_or_else(|| "there is no state folder".to_owned());
                to.turn_away(&why);
                Err(why)
            }
        };
        // From here on the other may run: nothing may keep us from ending.
        let given = given.and_then(|process| to.let_go().map(|()| process).map_err(|error| error.to_string()));
        match given {
            Ok(process) => {
                let mut total = Summary::default();
                for Running { edges, thread, .. } in worlds {
                    drop(edges);
                    if let Ok(Some(summary)) = thread.join() {
                        total.add(&summary);
                    }
                }
                total.network = counted;
                Ok(HandOver::Gone(process, Box::new(total)))
            }
            Err(why) => {
                let resumed = resumed + 1;
                let (net, edges) = start_net(&config, &beginnings, resumed, sockets)?;
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
