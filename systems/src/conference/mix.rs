//! Each participant hears the exact sum of all the others.

use bevy_ecs::prelude::*;
use ringworld_components::audio::mix::{EMPTY, Speaker, Sum, encode_sum, mix_room};
use ringworld_components::audio::{EncodedFrame, FRAME_SAMPLES, G711, PopOutcome};
use ringworld_components::call::contain_item;
use ringworld_components::edge::{Outputs, PacketPool, RtpOut};
use ringworld_components::kernel::{Elapsed, Now};
use ringworld_components::media::{
    ActiveSet, MediaCounters, MediaFact, MediaFacts, Mixing, PacketSender, Packetizer, Participant, Participants,
    Playback, ReceivePath, ReceivedAudio, RtpState, SpeechActivity, Stream, frame_of, half_a_frame_later, law_of,
};
use ringworld_components::planted;

/// Frames that a participant may miss and still be counted as a speaker whose loss is concealed.
const SILENT_FRAMES_MAX: u32 = 5;

/// The scratch space of the mix, written anew for every room.
#[derive(Resource)]
pub(super) struct MixScratch {
    sum: Sum,
    speakers: Vec<Speaker>,
    /// The streams of the speakers, then those of the participants that only listen.
    speaking: Vec<Entity>,
    listening: Vec<Entity>,
    /// Streams whose work panicked, by their ports.
    broken: Vec<(u16, Entity)>,
}

impl Default for MixScratch {
    fn default() -> Self {
        let (speaking, listening, broken) = (Vec::new(), Vec::new(), Vec::new());
        Self { sum: EMPTY, speakers: Vec::new(), speaking, listening, broken }
    }
}

/// Mixes the rooms in which a participant speaks and whose frame falls into this tick. All other rooms cost nothing.
#[expect(clippy::too_many_arguments, reason = "a system's parameters are its declared access")]
pub(super) fn mix_rooms(
    mut awake: ResMut<ActiveSet<Mixing>>,
    rooms: Query<&Participants, With<Mixing>>,
    mut participants: Query<(&Participant, &mut SpeechActivity)>,
    mut streams: StreamQuery,
    mut desk: ResMut<MixScratch>,
    now: Res<Now>,
    elapsed: Res<Elapsed>,
    mut counters: ResMut<MediaCounters>,
    mut facts: ResMut<MediaFacts>,
    mut pool: ResMut<PacketPool>,
    mut outputs: ResMut<Outputs>,
    mut packetizer: ResMut<ActiveSet<Packetizer>>,
    mut commands: Commands,
) {
    for back in (0..u64::from(elapsed.0.min(8))).rev() {
        let then = Now(now.0 - back.min(now.0));
        let first_packet = outputs.rtp.len();
        let mut sender = PacketSender::new(&mut pool, &mut outputs);
        awake.visit((then.0 & 3) as u8, |&room| {
            let Ok(members) = rooms.get(room) else { return false };
            let is_awake = desk.collect(members, &mut participants, &mut streams);
            if !is_awake {
                commands.entity(room).remove::<Mixing>();
                return false;
            }
            counters.frames_mixed += desk.mix(&mut streams, &mut sender, frame_of(then));
            true
        });
        packetizer.wake_all(&mut sender.woken, half_a_frame_later(then));
        // Rooms and participants come in the order of their storage: what leaves is put into the order of ports.
        let sent = outputs.rtp.get_mut(first_packet..).unwrap_or_default();
        sent.sort_by_cached_key(|RtpOut(packet)| {
            planted!(HashOrder ? ringworld_components::planted::hashed(packet.port), u64::from(packet.port))
        });
        counters.packets_out += sent.len() as u64;
    }
    // So do those that panicked.
    desk.broken.sort_unstable_by_key(|(port, _)| *port);
    let facts_of = desk.broken.drain(..);
    facts.0.extend(facts_of.map(|(_, stream)| MediaFact::Panicked { stream, system: "mix_rooms".into() }));
}

type StreamQuery<'w, 's> =
    Query<'w, 's, (&'static Stream, &'static mut RtpState, &'static mut ReceivePath, Option<&'static Playback>)>;

impl MixScratch {
    /// Takes from every member the frame that is due. Says whether a member may still have something to say.
    fn collect(
        &mut self,
        members: &Participants,
        participants: &mut Query<(&Participant, &mut SpeechActivity)>,
        streams: &mut StreamQuery<'_, '_>,
    ) -> bool {
        self.speakers.clear();
        self.speaking.clear();
        self.listening.clear();
        let mut is_awake = false;
        for member in members.iter() {
            let Ok((participant, mut speaking)) = participants.get_mut(member) else { continue };
            let Ok((stream, _, mut hearing, _)) = streams.get_mut(participant.stream) else { continue };
            let Some(agreed) = &stream.negotiated else { continue };
            let ear = hearing.ear.as_mut().filter(|ear| ear.is_awake);
            let law = law_of(agreed.codec);
            match ear.map(|ear| contain_item(|| listen(ear, &mut speaking, law))) {
                Some(None) => {
                    hearing.ear = None;
                    self.broken.push((stream.port, participant.stream));
                }
                Some(Some(frame)) => {
                    is_awake = true;
                    match frame {
                        Some(payload) => {
                            self.speakers.push(Speaker { speaks: law, hears: law, payload });
                            self.speaking.push(participant.stream);
                        }
                        None => self.listening.push(participant.stream),
                    }
                }
                None => self.listening.push(participant.stream),
            }
        }
        is_awake
    }

    /// Sends every member what it hears; says how many spoke. Listeners share one encoding for each law, whatever
    /// their packet times: a packet is made of the same bytes.
    fn mix(&mut self, streams: &mut StreamQuery<'_, '_>, sender: &mut PacketSender<'_>, frame: u64) -> u64 {
        if self.speakers.is_empty() {
            return 0;
        }
        self.sum = EMPTY;
        mix_room(&mut self.sum, &mut self.speakers);
        let is_alone = self.speakers.len() == 1;
        for (speaker, &entity) in self.speakers.iter().zip(&self.speaking).filter(|_| !is_alone) {
            let sum = &self.sum;
            send(streams, sender, frame, entity, &mut self.broken, |_| {
                let mut payload = speaker.payload;
                if planted!(SelfHearing) {
                    encode_sum(sum, speaker.hears, &mut payload);
                }
                payload
            });
        }
        let mut shared: [Option<EncodedFrame>; 2] = [None, None];
        for &entity in &self.listening {
            send(streams, sender, frame, entity, &mut self.broken, |law| {
                *shared[law as usize & 1].get_or_insert_with(|| {
                    let mut payload = [0; FRAME_SAMPLES];
                    encode_sum(&self.sum, law, &mut payload);
                    payload
                })
            });
        }
        self.speakers.len() as u64
    }
}

/// Sends a member what it hears. A member that is played something, or is sent digits, does not hear the room
/// meanwhile.
fn send(
    streams: &mut StreamQuery<'_, '_>,
    sender: &mut PacketSender<'_>,
    frame: u64,
    entity: Entity,
    broken: &mut Vec<(u16, Entity)>,
    payload: impl FnOnce(G711) -> EncodedFrame,
) {
    let Ok((stream, mut flow, _, playing)) = streams.get_mut(entity) else { return };
    if let Some(agreed) = stream.negotiated.as_ref().filter(|_| stream.sends())
        && playing.is_none_or(Playback::is_done)
    {
        let payload = payload(law_of(agreed.codec));
        if contain_item(|| sender.send_frame(entity, stream, &mut flow, frame, &payload)).is_none() {
            broken.push((stream.port, entity));
        }
    }
}

/// What a member says in this frame; `None` if nothing. Received audio that has nothing more to give is visited no
/// more.
fn listen(ear: &mut ReceivedAudio, speaking: &mut SpeechActivity, law: G711) -> Option<EncodedFrame> {
    let mut payload = [0; FRAME_SAMPLES];
    if planted!(EarPanics) {
        panic!("planted");
    }
    let outcome = ear.jitter.pop(&mut payload, law.silence());
    if ear.jitter.is_idle() {
        ear.is_awake = false;
    }
    match outcome {
        PopOutcome::Frame | PopOutcome::Partial => {
            speaking.silent_frames = 0;
            ear.concealer.heard(&payload);
            Some(payload)
        }
        PopOutcome::Missing | PopOutcome::Underrun if speaking.silent_frames < SILENT_FRAMES_MAX => {
            speaking.silent_frames += 1;
            ear.concealer.conceal(law, &mut payload);
            Some(payload)
        }
        _ => None,
    }
}
