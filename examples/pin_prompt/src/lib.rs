//! A behaviour in a crate of its own that depends on ringworld alone: a call to `pin` is answered and has to enter four
//! digits. With the right ones it is connected to a phone, with wrong ones or none in time it is ended.

use ringworld::prelude::*;

/// The PIN, and the call that is placed once it was entered.
#[derive(Resource, Record, Clone, Debug)]
pub struct PinPromptPlugin {
    /// Four digits.
    pub pin: String,
    /// How long there is to enter them.
    pub patience: Duration,
    /// The call to connect with; its service is a room that the plugin names.
    pub then: PlaceCall,
}

/// The state of a call to `pin`, or of the call that was placed for it.
#[derive(Component, Record, Clone, Debug, PartialEq)]
pub enum Pin {
    /// The caller enters digits; these so far.
    Entering(String),
    /// The PIN was right.
    Passed,
    /// It is connected with this session.
    With(StableId),
}

/// The calls that are being placed, each with the session of its caller.
#[derive(Resource, Record, Clone, Debug, Default)]
struct Placing(Vec<(Ticket, StableId)>);

impl Plugin for PinPromptPlugin {
    fn build(&self, app: &mut App) {
        app.record_resource(self.clone(), "pin_prompt.settings");
        app.record_resource(Placing::default(), "pin_prompt.placing");
        app.record::<Pin>("pin_prompt.pin");
        app.add_timer::<Pin>("pin_prompt.patience");
        app.add_systems(Tick, (ask_for_the_pin, connect).chain().in_set(Phase::Behaviour));
    }
}

fn ask_for_the_pin(
    mut offered: MessageReader<CallOffered>,
    mut heard: MessageReader<DigitHeard>,
    mut late: MessageReader<TimerFired<Pin>>,
    settings: Res<PinPromptPlugin>,
    mut pins: Query<&mut Pin>,
    mut placing: ResMut<Placing>,
    mut operations: Operations,
) {
    operations.for_each_call(offered.read().filter(|call| call.to.starts_with(b"sip:pin@")), |operations, call| {
        operations.write(Operation::answer(call.session, room(call.session)));
        operations.insert(call.entity, Pin::Entering(String::new()));
        operations.start_timer::<Pin>(call.entity, settings.patience);
    });
    operations.for_each_call(heard.read(), |operations, key| {
        let Ok(mut pin) = pins.get_mut(key.entity) else { return };
        let Pin::Entering(digits) = &mut *pin else { return };
        digits.push(key.digit);
        if *digits == settings.pin {
            let then = PlaceCall { service: room(key.session), ..settings.then.clone() };
            *pin = Pin::Passed;
            placing.0.push((operations.request(Operation::Place(then)), key.session));
            operations.cancel_timer::<Pin>(key.entity);
        } else if digits.len() == settings.pin.len() {
            operations.write(Operation::hang_up(key.session));
        }
    });
    operations.for_each_call(late.read(), |operations, timer| {
        operations.write(Operation::hang_up(timer.id));
    });
}

/// The two calls of a connection end together.
fn connect(
    mut done: MessageReader<OperationDone>,
    mut ended: MessageReader<CallEnded>,
    ids: Res<StableIds>,
    sessions: Query<&Session>,
    mut pins: Query<&mut Pin>,
    mut placing: ResMut<Placing>,
    mut operations: Operations,
) {
    operations.for_each_call(done.read(), |operations, placed| {
        let Some(at) = placing.0.iter().position(|(ticket, _)| *ticket == placed.ticket) else { return };
        let (_, caller) = placing.0.remove(at);
        match (&placed.result, ids.find(caller).and_then(|entity| pins.get_mut(entity).ok())) {
            (Ok(callee), Some(mut pin)) if sessions.get(placed.entity).is_ok_and(|call| !call.state().is_over()) => {
                *pin = Pin::With(*callee);
                operations.insert(placed.entity, Pin::With(caller));
            }
            (Ok(orphan), None) => drop(operations.write(Operation::hang_up(*orphan))),
            // It was refused before the caller was connected with it.
            _ => drop(operations.write(Operation::hang_up(caller))),
        }
    });
    operations.for_each_call(ended.read(), |operations, call| {
        if let Ok(Pin::With(other)) = pins.get(call.entity) {
            operations.write(Operation::hang_up(*other));
        }
        operations.remove::<Pin>(call.entity);
    });
}

fn room(caller: StableId) -> String {
    format!("conf-pin-{:x}", caller.0)
}
