//! A behaviour in a crate of its own that depends on ringworld alone: a held peer hears a reminder now and then. It wakes on
//! a change of state and on its own timer, never by a scan.

use ringworld::prelude::*;

/// The reminder that is running for a held session, and how often it has reminded.
#[derive(Component, Record, Clone, Copy, Debug, Hash)]
pub struct HoldReminder {
    pub given: u32,
}

/// Adds the behaviour, with this time on hold between two reminders.
#[derive(Resource, Record, Clone, Copy, Debug, Hash)]
pub struct HoldReminderPlugin {
    pub period: Duration,
}

impl Plugin for HoldReminderPlugin {
    fn build(&self, app: &mut App) {
        app.record_resource(*self, "hold_reminder.settings");
        app.record::<HoldReminder>("hold_reminder.reminder");
        app.add_timer::<HoldReminder>("hold_reminder.timer");
        app.add_systems(Tick, remind_held_calls.in_set(Phase::Behaviour));
    }
}

fn remind_held_calls(
    mut changes: MessageReader<StateChanged>,
    mut fired: MessageReader<TimerFired<HoldReminder>>,
    settings: Res<HoldReminderPlugin>,
    mut reminders: Query<&mut HoldReminder>,
    mut operations: Operations,
) {
    operations.for_each_call(changes.read(), |operations, change| match (change.from, change.to) {
        (_, SessionState::OnHold) => {
            operations.start_timer::<HoldReminder>(change.entity, settings.period);
            operations.insert(change.entity, HoldReminder { given: 0 });
        }
        (SessionState::OnHold, _) => {
            operations.cancel_timer::<HoldReminder>(change.entity);
            operations.remove::<HoldReminder>(change.entity);
        }
        _ => {}
    });
    operations.for_each_call(fired.read(), |operations, reminder| {
        operations.write(Operation::announce(reminder.id, "still-holding"));
        operations.start_timer::<HoldReminder>(reminder.owner, settings.period);
        if let Ok(mut reminder) = reminders.get_mut(reminder.owner) {
            reminder.given += 1;
        }
    });
}
