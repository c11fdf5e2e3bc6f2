//! Assembles conferences.

use super::{membership, mix};
use bevy_app::{App, Plugin};
use bevy_ecs::prelude::*;
use ringworld_components::kernel::{QuietApp, RecordApp, Step, Tick};
use ringworld_components::media::{
    Mixing, Participant, ParticipantOf, Participants, Room, RoomTable, Speaking, Vacated, Voice, VoiceOf, Wakeful,
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
            .record_media::<Speaking>("conference.speaking")
            .record_media::<Mixing>("conference.mixing")
            .record_media_resource(Wakeful::<Mixing>::default(), "conference.rooms_awake")
            .unrecorded_resource(RoomTable::default())
            .unrecorded_resource(mix::Desk::default())
            .scratch::<Vacated>(|vacated| vacated.0.is_empty());
        app.awake_while(|world| !world.resource::<Wakeful<Mixing>>().is_empty());
        app.add_systems(Tick, (mix::mix_rooms.in_set(Step::Mix), membership::close_empty_rooms.in_set(Step::Close)));
    }
}
