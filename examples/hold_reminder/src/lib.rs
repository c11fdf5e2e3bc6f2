//! A behaviour in a crate of its own that depends on ringworld alone: whoever is held is told now and then that he is
//! not forgotten. It wakes on a change of state and on its own timer, never by a scan.

use ringworld::prelude::*;

/// The reminder that is running for a held session, and how often it has reminded.
#[derive(Component, Record, Clone, Copy, Debug, Hash)]
pub struct HoldReminder {
    pub given: u32,
}

/// How long a call may sit on hold between reminders.
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
    mut timers: Timers<HoldReminder>,
    mut announce: MessageWriter<Announce>,
    mut reminders: Query<&mut HoldReminder>,
    mut commands: Commands,
) {
    for change in changes.read() {
        match (change.from, change.to) {
            (_, SessionState::OnHold) => {
                timers.start(change.session, settings.period);
                commands.entity(change.session).try_insert(HoldReminder { given: 0 });
            }
            (SessionState::OnHold, _) => {
                timers.cancel(change.session);
                commands.entity(change.session).try_remove::<HoldReminder>();
            }
            _ => {}
        }
    }
    for reminder in fired.read() {
        announce.write(Announce::clip(reminder.owner, "still-holding"));
        timers.start(reminder.owner, settings.period);
        if let Ok(mut reminder) = reminders.get_mut(reminder.owner) {
            reminder.given += 1;
        }
    }
}
