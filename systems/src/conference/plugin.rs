//! Assembles conferences.

use super::{membership, mix};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use ringworld_components::kernel::{QuietApp, RecordApp, Step, Tick};
use ringworld_components::media::{
    ActiveSet, Mixing, Participant, ParticipantOf, Participants, Room, RoomTable, SpeechActivity, Vacated, Voice,
    VoiceOf,
};

/// Rooms and their participants.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConferencePlugin;

impl Plugin for ConferencePlugin {
    fn build(&self, app: &mut App) {
        app.record::<Room>("conference.room")
            .record::<Participant>("conference.participant")
            .record::<ParticipantOf>("conference.participant_of")
            .derived::<Participants>()
            .record::<VoiceOf>("conference.voice_of")
            .derived::<Voice>()
            .record_media::<SpeechActivity>("conference.speaking")
            .record_media::<Mixing>("conference.mixing")
            .record_media_resource(ActiveSet::<Mixing>::default(), "conference.rooms_awake")
            .unrecorded_resource(RoomTable::default())
            .unrecorded_resource(mix::MixScratch::default())
            .scratch::<Vacated>(|vacated| vacated.0.is_empty());
        app.awake_while(|world| !world.resource::<ActiveSet<Mixing>>().is_empty());
        app.add_systems(Tick, (mix::mix_rooms.in_set(Step::Mix), membership::close_empty_rooms.in_set(Step::Close)));
    }
}
