//! A behaviour in a crate of its own that depends on ringworld alone: calls to `queue` are answered and wait until an agent
//! is free. The agent is called, and both meet in a room. An agent that refuses a call gets no more of them.

use ringworld::prelude::*;

/// The callers that wait, the longest first, and the agents.
#[derive(Resource, Record, Clone, Debug)]
pub struct CallQueue {
    /// The sessions of the callers.
    pub waiting: Vec<StableId>,
    /// The agents, the preferred ones first.
    pub agents: Vec<Agent>,
}

/// An agent.
#[derive(Record, Clone, Debug)]
pub struct Agent {
    /// How it is called; the service is a room that the plugin names.
    pub place: PlaceCall,
    /// What it is busy with.
    pub busy: Option<Busy>,
}

/// A caller and the call to its agent.
#[derive(Record, Clone, Debug)]
pub struct Busy {
    caller: StableId,
    ticket: Ticket,
    call: Option<StableId>,
    is_given_up: bool,
}

/// Adds the behaviour, with these agents.
pub struct CallQueuePlugin(pub Vec<PlaceCall>);

impl Plugin for CallQueuePlugin {
    fn build(&self, app: &mut App) {
        let agents = self.0.iter().map(|place| Agent { place: place.clone(), busy: None }).collect();
        app.record_resource(CallQueue { waiting: Vec::new(), agents }, "call_queue.queue");
        app.add_systems(Tick, serve_callers.in_set(Phase::Behaviour));
    }
}

fn serve_callers(
    mut offered: MessageReader<CallOffered>,
    mut done: MessageReader<OperationDone>,
    mut ended: MessageReader<CallEnded>,
    mut queue: ResMut<CallQueue>,
    mut operations: Operations,
) {
    if offered.is_empty() && done.is_empty() && ended.is_empty() {
        return;
    }
    operations.for_each_call(offered.read().filter(|call| call.to.starts_with(b"sip:queue@")), |operations, call| {
        operations.write(Operation::answer(call.session, room(call.session)));
        queue.waiting.push(call.session);
    });
    operations.for_each_call(done.read(), |operations, placed| queue.on_placed(placed, operations));
    operations.for_each_call(ended.read(), |operations, call| queue.on_ended(call, operations));
    let CallQueue { waiting, agents } = &mut *queue;
    for agent in agents.iter_mut().filter(|agent| agent.busy.is_none()).take(waiting.len()) {
        let caller = waiting.remove(0);
        let place = PlaceCall { service: room(caller), ..agent.place.clone() };
        let ticket = operations.request(Operation::Place(place));
        agent.busy = Some(Busy { caller, ticket, call: None, is_given_up: false });
    }
}

impl CallQueue {
    fn on_placed(&mut self, placed: &OperationDone, operations: &mut Operations) {
        let is_of = |agent: &Agent| agent.busy.as_ref().is_some_and(|busy| busy.ticket == placed.ticket);
        let Some(at) = self.agents.iter().position(is_of) else { return };
        let Some(busy) = &mut self.agents[at].busy else { return };
        match placed.result {
            Ok(call) if busy.is_given_up => drop(operations.write(Operation::hang_up(call))),
            Ok(call) => busy.call = Some(call),
            Err(_) => self.dismiss(at),
        }
    }

    fn on_ended(&mut self, ended: &CallEnded, operations: &mut Operations) {
        self.waiting.retain(|caller| *caller != ended.session);
        for at in (0..self.agents.len()).rev() {
            let Some(busy) = &mut self.agents[at].busy else { continue };
            if busy.caller == ended.session {
                busy.is_given_up = true;
                if let Some(call) = busy.call {
                    operations.write(Operation::hang_up(call));
                }
            } else if busy.call == Some(ended.session) {
                match ended.ending.status {
                    300.. if !busy.is_given_up => self.dismiss(at),
                    _ => {
                        operations.write(Operation::hang_up(busy.caller));
                        self.agents[at].busy = None;
                    }
                }
            }
        }
    }

    /// The agent gets no more calls, and its caller is the next one again.
    fn dismiss(&mut self, at: usize) {
        let busy = self.agents.remove(at).busy;
        self.waiting.splice(0..0, busy.filter(|busy| !busy.is_given_up).map(|busy| busy.caller));
    }
}

fn room(caller: StableId) -> String {
    format!("conf-queue-{:x}", caller.0)
}
