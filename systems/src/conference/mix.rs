//! Each participant hears the exact sum of all the others.
//!
//! A room whose members all have G.711 is mixed as its packets come: their octets are added to the sum in one step with
//! their expansion. Any other room has a rate, and is mixed by [`linear`](super::linear).

use super::linear::LinearMix;
use bevy_ecs::prelude::*;
use ringworld_components::audio::mix::{EMPTY, Speaker, Sum, encode_sum, mix_room};
use ringworld_components::audio::{EncodedFrame, FRAME_SAMPLES, G711, PopOutcome};
use ringworld_components::call::{Settings, contain_item};
use ringworld_components::edge::{Outputs, PacketPool, RtpOut};
use ringworld_components::kernel::{Elapsed, Now};
use ringworld_components::media::{
    ActiveSet, Encoded, MediaCounters, MediaFact, MediaFacts, Mixing, PacketSender, Packetizer, Participant,
    Participants, Playback, ReceivePath, ReceivedAudio, RtpState, SpeechActivity, Stream, frame_of, half_a_frame_later,
};
use ringworld_components::planted;
use ringworld_components::wire::sdp::Negotiated;

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
    /// The room, where it is not one of G.711 alone.
    linear: LinearMix,
    /// Streams whose work panicked, by their ports.
    broken: Vec<(u16, Entity)>,
}

impl Default for MixScratch {
    fn default() -> Self {
        let (speaking, listening, broken) = (Vec::new(), Vec::new(), Vec::new());
        Self { sum: EMPTY, speakers: Vec::new(), speaking, listening, linear: LinearMix::default(), broken }
    }
}

/// Mixes the rooms in which a participant speaks and whose frame falls into this tick. All other rooms cost nothing.
#[expect(clippy::too_many_arguments, reason = "a system's parameters are its declared access")]
pub(super) fn mix_rooms(
    mut awake: ResMut<ActiveSet<Mixing>>,
    mut rooms: Query<(&Participants, &mut Mixing)>,
    mut participants: Query<(&Participant, &mut SpeechActivity)>,
    mut streams: StreamQuery,
    mut desk: ResMut<MixScratch>,
    settings: Res<Settings>,
    now: Res<Now>,
    elapsed: Res<Elapsed>,
    mut counters: ResMut<MediaCounters>,
    mut facts: ResMut<MediaFacts>,
    mut pool: ResMut<PacketPool>,
    mut outputs: ResMut<Outputs>,
    mut packetizer: ResMut<ActiveSet<Packetizer>>,
    mut commands: Commands,
) {
    desk.linear.rate_hz_max = settings.media.room_rate_hz_max;
    for back in (0..u64::from(elapsed.0.min(8))).rev() {
        let then = Now(now.0 - back.min(now.0));
        let first_packet = outputs.rtp.len();
        let mut sender = PacketSender::new(&mut pool, &mut outputs);
        awake.visit((then.0 & 3) as u8, |&room| {
            let Ok((members, mut mixing)) = rooms.get_mut(room) else { return false };
            let is_awake = desk.collect(members, &mut participants, &mut streams);
            if !is_awake {
                commands.entity(room).remove::<Mixing>();
                return false;
            }
            counters.frames_mixed += desk.mix(&mut mixing, &mut streams, &mut sender, frame_of(then));
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

pub(super) type StreamQuery<'w, 's> =
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
        self.linear.clear();
        let mut is_awake = false;
        for member in members.iter() {
            let Ok((participant, mut speaking)) = participants.get_mut(member) else { continue };
            let entity = participant.stream;
            let Ok((stream, _, mut hearing, _)) = streams.get_mut(entity) else { continue };
            let Some(agreed) = &stream.negotiated else { continue };
            let ear = hearing.ear.as_mut().filter(|ear| ear.is_awake);
            is_awake |= ear.is_some();
            let speaks = match agreed.codec.g711() {
                Some(law) => ear.map(|ear| {
                    contain_item(|| {
                        let payload = listen(ear, &mut speaking, law)?;
                        self.speakers.push(Speaker { speaks: law, hears: law, payload });
                        self.speaking.push(entity);
                        Some(())
                    })
                }),
                None => {
                    self.linear.includes(agreed.codec);
                    ear.map(|ear| contain_item(|| self.linear.hear(entity, agreed.codec, ear, &mut speaking)))
                }
            };
            match speaks {
                Some(None) => {
                    hearing.ear = None;
                    self.broken.push((stream.port, entity));
                }
                Some(Some(Some(()))) => {}
                Some(Some(None)) | None => self.listening.push(entity),
            }
        }
        is_awake
    }

    /// Sends every member what it hears; says how many spoke. Listeners share one encoding for each codec, whatever
    /// their packet times: a packet is made of the same bytes.
    fn mix(
        &mut self,
        mixing: &mut Mixing,
        streams: &mut StreamQuery<'_, '_>,
        sender: &mut PacketSender<'_>,
        frame: u64,
    ) -> u64 {
        if self.linear.is_needed() {
            for (speaker, &entity) in self.speakers.iter().zip(&self.speaking) {
                self.linear.say(entity, speaker.speaks, &speaker.payload);
            }
            return self.linear.mix(
                &self.listening,
                mixing,
                streams,
                &mut Sending { sender, frame, broken: &mut self.broken },
            );
        }
        if self.speakers.is_empty() {
            return 0;
        }
        self.sum = EMPTY;
        mix_room(&mut self.sum, &mut self.speakers);
        let is_alone = self.speakers.len() == 1;
        let mut sending = Sending { sender, frame, broken: &mut self.broken };
        for (speaker, &entity) in self.speakers.iter().zip(&self.speaking).filter(|_| !is_alone) {
            let sum = &self.sum;
            sending.send_g711(streams, entity, |_| {
                let mut payload = speaker.payload;
                if planted!(SelfHearing) {
                    encode_sum(sum, speaker.hears, &mut payload);
                }
                payload
            });
        }
        let mut shared: [Option<EncodedFrame>; 2] = [None, None];
        for &entity in &self.listening {
            sending.send_g711(streams, entity, |law| {
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

/// How the members of a room are sent what they hear.
pub(super) struct Sending<'a, 'b> {
    pub sender: &'a mut PacketSender<'b>,
    pub frame: u64,
    pub broken: &'a mut Vec<(u16, Entity)>,
}

impl Sending<'_, '_> {
    fn send_g711(
        &mut self,
        streams: &mut StreamQuery<'_, '_>,
        entity: Entity,
        payload: impl FnOnce(G711) -> EncodedFrame,
    ) {
        self.send(streams, entity, |agreed, flow, send| {
            if let Some(law) = agreed.codec.g711() {
                send(flow, Encoded { octets: &payload(law), is_opaque: false });
            }
        });
    }

    /// Sends a member what it hears: `encode` is given what sends it. A member that is played something, or is sent
    /// digits, does not hear the room meanwhile.
    pub fn send(
        &mut self,
        streams: &mut StreamQuery<'_, '_>,
        entity: Entity,
        encode: impl FnOnce(&Negotiated, &mut RtpState, &mut dyn FnMut(&mut RtpState, Encoded<'_>)),
    ) {
        let Ok((stream, mut flow, _, playing)) = streams.get_mut(entity) else { return };
        if let Some(agreed) = stream.negotiated.as_ref().filter(|_| stream.sends())
            && playing.is_none_or(Playback::is_done)
        {
            let (sender, frame) = (&mut *self.sender, self.frame);
            let mut send = |flow: &mut RtpState, payload: Encoded<'_>| {
                sender.send_frame(entity, stream, flow, frame, payload);
            };
            if contain_item(|| encode(agreed, &mut flow, &mut send)).is_none() {
                self.broken.push((stream.port, entity));
            }
        }
    }
}

/// What is in the frame that a member is due to have said.
pub(super) enum Said {
    /// Its octets.
    Frame,
    /// Something is to be heard in its place.
    Missing,
    /// Nothing.
    Nothing,
}

/// Takes the frame that is due. Received audio that has nothing more to give is visited no more.
pub(super) fn take(ear: &mut ReceivedAudio, speaking: &mut SpeechActivity, octets: &mut [u8], silence: u8) -> Said {
    if planted!(EarPanics) {
        panic!("planted");
    }
    let outcome = ear.jitter.pop(octets, silence);
    if ear.jitter.is_idle() {
        ear.is_awake = false;
    }
    match outcome {
        PopOutcome::Frame | PopOutcome::Partial => {
            speaking.silent_frames = 0;
            Said::Frame
        }
        PopOutcome::Missing | PopOutcome::Underrun if speaking.silent_frames < SILENT_FRAMES_MAX => {
            speaking.silent_frames += 1;
            Said::Missing
        }
        _ => Said::Nothing,
    }
}

/// What a member says in this frame; `None` if nothing.
fn listen(ear: &mut ReceivedAudio, speaking: &mut SpeechActivity, law: G711) -> Option<EncodedFrame> {
    let mut payload = [0; FRAME_SAMPLES];
    match take(ear, speaking, &mut payload, law.silence()) {
        Said::Frame => ear.concealer.heard(&payload),
        Said::Missing => ear.concealer.conceal(law, &mut payload),
        Said::Nothing => {
            if let Some(decoder) = &mut *ear.decoder {
                decoder.pause();
            }
            return None;
        }
    }
    Some(payload)
}
