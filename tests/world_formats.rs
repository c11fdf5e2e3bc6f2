//! Every codec in virtual time: echo, tones and digits over each, and rooms in which they meet.

mod common;

use common::speaker::{EVENTS, Speaker, read};
use common::{Bench, Caller, digits_heard, status};
use ringworld::components::audio::{Codec, Resampler};
use ringworld::components::edge::{Event, Input, Operation, Output};
use ringworld::engine::{Engine, WorldConfig};

/// The peak of the tones that are sent.
const LEVEL: i16 = 3_000;

/// The least ratio of what a party hears through this codec to the noise of it, in dB.
fn snr_floor_db(codec: Codec) -> f64 {
    match codec {
        Codec::Pcmu | Codec::Pcma => 33.0,
        Codec::G722 => 30.0,
        Codec::L16Narrowband | Codec::L16Wideband | Codec::L16Fullband => 60.0,
    }
}

#[test]
fn a_tone_has_the_packets_and_the_timestamps_of_its_codec() {
    for &codec in Codec::ALL {
        let mut bench = Bench::new();
        let party = Speaker::join(&mut bench, 1, "tone-1000", codec, (0, 0));
        bench.run_ms(1_500);
        let packets = party.audio(&bench);
        let ptime = 20.min(codec.ptime_ms_max());
        assert!(packets.len() >= 1_400 / usize::from(ptime), "{codec}: {}", packets.len());
        let units = codec.clock().units(u32::from(ptime));
        for pair in packets.windows(2) {
            assert_eq!(pair[1].0.sequence, pair[0].0.sequence.wrapping_add(1), "{codec}");
            assert_eq!(pair[1].0.timestamp, pair[0].0.timestamp.wrapping_add(units), "{codec}");
        }
        assert!(packets.iter().all(|(_, payload)| payload.len() == codec.octets(u32::from(ptime))), "{codec}");
        let heard = party.last_second(&bench);
        let level = party.level_db(&heard, 1_000, 8_000);
        assert!(level.abs() < 0.3, "{codec}: {level} dB");
        let snr = party.snr_db(&heard, &[1_000]);
        assert!(snr >= snr_floor_db(codec), "{codec}: {snr} dB");
    }
}

#[test]
fn an_echo_gives_back_every_octet_of_every_codec() {
    for &codec in Codec::ALL {
        let mut bench = Bench::new();
        let mut party = Speaker::join(&mut bench, 1, "echo", codec, (700, LEVEL));
        for _ in 0..50 {
            party.speak(&mut bench);
            bench.run_ms(20);
        }
        let packets = party.audio(&bench);
        assert_eq!(packets.len(), 1_000 / usize::from(codec.ptime_ms_max().min(20)), "{codec}");
        let snr = party.snr_db(&party.last_second(&bench), &[700]);
        assert!(snr >= snr_floor_db(codec), "{codec}: {snr} dB");
    }
}

#[test]
fn digits_are_told_and_heard_by_the_clock_of_the_audio() {
    for &codec in Codec::ALL {
        for user in ["echo", "silence", "conf-digits"] {
            let mut bench = Bench::new();
            let mut party = Speaker::join(&mut bench, 1, user, codec, (700, LEVEL));
            let from = party.party.address();
            // An event of 100 ms, reported every 20 ms, its end three times (RFC 4733 section 2.5.1).
            let (start, frame) = (77_000, codec.clock().frame_units());
            for step in 1..=7u32 {
                let [high, low] = (step.min(5) * frame).to_be_bytes()[2..] else { unreachable!() };
                let flags = if step >= 5 { 0x8a } else { 0x0a };
                party.party.send_from(&mut bench, &[9, flags, high, low], &from, EVENTS, step == 1, start);
                bench.run_ms(20);
            }
            assert_eq!(digits_heard(&bench.outputs), "9", "{codec} {user}");
            let lasted = bench.outputs.iter().find_map(|output| match output {
                Output::Event(Event::Digit { duration_ms, .. }) => Some(*duration_ms),
                _ => None,
            });
            assert_eq!(lasted, Some(100), "{codec} {user}");
            bench.rtp.clear();
            bench.command(|session| Operation::SendDtmf { session, digits: "4".into() });
            bench.run_ms(300);
            let told: Vec<(u32, u16)> = party
                .party
                .packets(&bench)
                .iter()
                .filter(|(header, _)| header.payload_type == EVENTS)
                .map(|(header, event)| (header.timestamp, u16::from_be_bytes([event[2], event[3]])))
                .collect();
            let durations: Vec<u32> = told.iter().map(|(_, duration)| u32::from(*duration) / frame).collect();
            assert_eq!(durations, [1, 2, 3, 4, 5, 5, 5], "{codec} {user}");
            assert!(told.iter().all(|(timestamp, _)| *timestamp == told[0].0), "{codec} {user}");
        }
    }
}

/// The members of a room of all codecs, each with a tone of its own that every one of them can carry.
fn mixed_room(bench: &mut Bench) -> Vec<(Speaker, u32)> {
    let member = |(index, codec): (usize, &Codec)| {
        let hz = 400 + 300 * index as u32;
        (Speaker::join(bench, index as u32 + 1, "conf-mixed", *codec, (hz, LEVEL)), hz)
    };
    Codec::ALL.iter().enumerate().map(member).collect()
}

#[test]
fn in_a_room_of_all_codecs_each_hears_the_others_and_not_itself() {
    for rate_hz_max in [48_000, 16_000, 8_000] {
        let mut config = WorldConfig::default();
        config.settings.media.room_rate_hz_max = rate_hz_max;
        let mut bench = Bench::with(config);
        let mut members = mixed_room(&mut bench);
        // One of each codec that only listens, and later another one.
        let listen = |bench: &mut Bench, calls: u32| -> Vec<Speaker> {
            let join = |(call, codec): (u32, &Codec)| Speaker::join(bench, call, "conf-mixed", *codec, (0, 0));
            (calls..).zip(Codec::ALL).map(join).collect()
        };
        let (listeners, mut late) = (listen(&mut bench, 100), Vec::new());
        for frame in 0..100 {
            if frame == 20 {
                late = listen(&mut bench, 200);
            }
            members.iter_mut().for_each(|(member, _)| member.speak(&mut bench));
            bench.run_ms(20);
        }
        let tones: Vec<u32> = members.iter().map(|(_, hz)| *hz).collect();
        for (member, own) in &members {
            let heard = member.last_second(&bench);
            let others: Vec<u32> = tones.iter().copied().filter(|hz| hz != own).collect();
            for hz in &others {
                let level = member.level_db(&heard, *hz, LEVEL);
                assert!(level.abs() < 1.0, "{} at {rate_hz_max}: {hz} Hz at {level} dB", member.codec);
            }
            let own_level = member.level_db(&heard, *own, LEVEL);
            assert!(own_level < -40.0, "{} at {rate_hz_max}: itself at {own_level} dB", member.codec);
            let snr = member.snr_db(&heard, &others);
            // What others say in G.711 has the noise of G.711.
            assert!(snr >= snr_floor_db(Codec::Pcmu).min(snr_floor_db(member.codec)), "{}: {snr} dB", member.codec);
        }
        for listener in &listeners {
            let heard = listener.last_second(&bench);
            for hz in &tones {
                let level = listener.level_db(&heard, *hz, LEVEL);
                assert!(level.abs() < 1.0, "{} listens at {rate_hz_max}: {hz} Hz at {level} dB", listener.codec);
            }
        }
        for (listener, other) in listeners.iter().zip(&late) {
            let last = |party: &Speaker| party.audio(&bench).split_off(party.audio(&bench).len() - 20);
            let payloads = last(listener).into_iter().zip(last(other));
            let is_shared = payloads.into_iter().all(|((_, one), (_, two))| one == two);
            assert!(is_shared, "{}: listeners of one codec share its encoding", listener.codec);
        }
        let members = members.into_iter().map(|(member, _)| member);
        for member in members.chain(listeners).chain(late) {
            member.party.hang_up(&mut bench);
        }
        bench.run_ms(33_000);
        bench.assert_baseline();
    }
}

/// Some noise of 20 ms, loud enough that two of it are clipped.
fn noise(seed: u32, frame: u32, samples: usize) -> Vec<i16> {
    let sample = |index: u32| {
        let mixed = (frame * 4_096 + index + 1).wrapping_mul(2_654_435_761).rotate_left(seed * 7 + 3);
        (mixed.wrapping_mul(0x85eb_ca6b) >> 16) as i16
    };
    (0..samples as u32).map(sample).collect()
}

#[test]
fn the_mix_is_exact_by_samples_at_the_rate_of_the_room() {
    let mut bench = Bench::new();
    let speaks = [Codec::L16Wideband, Codec::Pcmu, Codec::L16Narrowband];
    let mut speakers: Vec<Speaker> =
        (1..).zip(speaks).map(|(call, codec)| Speaker::join(&mut bench, call, "conf-exact", codec, (0, 0))).collect();
    let listener = Speaker::join(&mut bench, 9, "conf-exact", Codec::L16Wideband, (0, 0));
    for frame in 0..60 {
        for (seed, speaker) in (0..).zip(&mut speakers) {
            speaker.say(&mut bench, noise(seed, frame, speaker.codec.format().frame_samples()));
        }
        bench.run_ms(20);
    }
    // What each said, decoded and taken to 16 kHz.
    let linear: Vec<Vec<i32>> = speakers
        .iter()
        .map(|speaker| {
            let (mut encoder, mut decoder) = (speaker.codec.encoder(), speaker.codec.decoder());
            let (mut resampler, rate_hz) = (Resampler::default(), speaker.codec.format().rate_hz);
            let take = |pcm: &Vec<i16>| {
                let (mut payload, mut decoded, mut taken) = (vec![0; speaker.codec.octets(20)], pcm.clone(), [0; 320]);
                encoder.encode(pcm, &mut payload);
                decoder.decode(&payload, &mut decoded);
                resampler.resample(&decoded, rate_hz, &mut taken, 16_000);
                taken.map(i32::from)
            };
            speaker.said.iter().flat_map(take).collect()
        })
        .collect();
    let mix = |voices: &[usize]| -> Vec<i16> {
        let total = |n: usize| voices.iter().map(|voice| linear[*voice][n]).sum::<i32>();
        (0..linear[0].len()).map(|n| total(n).clamp(-32_768, 32_767) as i16).collect()
    };
    for (who, voices) in [(&listener, &[0, 1, 2][..]), (&speakers[0], &[1, 2])] {
        let (heard, expected) = (who.heard(&bench), mix(voices));
        assert!(heard.len() > 50 * 320, "{}", heard.len());
        assert!(heard.contains(&i16::MAX) && heard.contains(&i16::MIN), "it is clipped at its end alone");
        assert!(expected.starts_with(&heard), "{:?} {:?}", &heard[..20], &expected[..20]);
    }
}

#[test]
fn a_room_takes_the_rate_of_its_members_as_they_come_and_go() {
    let mut bench = Bench::new();
    let mut narrow = Speaker::join(&mut bench, 1, "conf-rate", Codec::Pcma, (700, LEVEL));
    let listener = Speaker::join(&mut bench, 2, "conf-rate", Codec::Pcmu, (0, 0));
    let talk = |bench: &mut Bench, narrow: &mut Speaker, wide: &mut Option<Speaker>| {
        bench.rtp.clear();
        for _ in 0..75 {
            narrow.speak(bench);
            if let Some(wide) = wide {
                wide.speak(bench);
            }
            bench.run_ms(20);
        }
    };
    let mut wide = None;
    for (call, is_wide) in [(3, false), (4, true), (5, false), (6, true)] {
        if is_wide {
            wide = Some(Speaker::join(&mut bench, call, "conf-rate", Codec::L16Fullband, (1_100, LEVEL)));
        }
        talk(&mut bench, &mut narrow, &mut wide);
        let heard = listener.last_second(&bench);
        assert!(listener.level_db(&heard, 700, LEVEL).abs() < 1.0);
        let level = listener.level_db(&heard, 1_100, LEVEL);
        assert!(if is_wide { level.abs() < 1.0 } else { level < -40.0 }, "{is_wide}: {level}");
        if let Some(wide) = wide.take() {
            let heard = wide.last_second(&bench);
            assert!(wide.level_db(&heard, 700, LEVEL).abs() < 1.0 && wide.level_db(&heard, 1_100, LEVEL) < -40.0);
            wide.party.hang_up(&mut bench);
        }
    }
}

#[test]
fn a_reinvite_to_a_codec_of_another_clock_goes_on_in_sequence_and_time() {
    let mut bench = Bench::new();
    let mut party = Speaker::join(&mut bench, 1, "tone-600", Codec::Pcmu, (0, 0));
    bench.run_ms(200);
    let sdp = party.party.caller.sdp("sendrecv");
    let sdp = sdp.replace("RTP/AVP 0 8 101", "RTP/AVP 97 110");
    let answer = party
        .party
        .reinvite(&mut bench, &format!("{sdp}a=rtpmap:97 L16/16000\r\na=rtpmap:110 telephone-event/16000\r\n"));
    assert!(answer.contains("m=audio 10000 RTP/AVP 97 110\r\na=rtpmap:97 L16/16000\r\n"), "{answer}");
    bench.run_ms(1_200);
    let packets = party.party.packets(&bench);
    let (first, second): (Vec<_>, Vec<_>) = packets.iter().partition(|(header, _)| header.payload_type == 0);
    assert!(first.len() >= 8 && second.len() >= 55, "{} {}", first.len(), second.len());
    assert!(packets.windows(2).all(|pair| pair[1].0.sequence == pair[0].0.sequence.wrapping_add(1)));
    let step = second[0].0.timestamp.wrapping_sub(first[first.len() - 1].0.timestamp);
    assert!((160..=320).contains(&step), "{step}");
    assert!(second.windows(2).all(|pair| pair[1].0.timestamp == pair[0].0.timestamp.wrapping_add(320)));
    party.codec = Codec::L16Wideband;
    let heard = party.last_second(&bench);
    assert!(party.snr_db(&heard, &[600]) > 60.0);
}

#[test]
fn what_is_offered_in_stereo_is_answered_in_mono() {
    let mut bench = Bench::new();
    let offer = |bench: &mut Bench, call: u32, formats: &str, maps: &str| {
        let caller = Caller::new(call, "echo");
        let sdp = caller.sdp("sendrecv").replace("RTP/AVP 0 8 101", &format!("RTP/AVP {formats}"));
        bench.exchange(&caller.request("INVITE", &format!("{sdp}{maps}"))).remove(0)
    };
    let answer = offer(&mut bench, 1, "96", "a=rtpmap:96 L16/48000/2\r\n");
    assert_eq!(status(&answer), 200);
    assert!(answer.contains("RTP/AVP 96\r\na=rtpmap:96 L16/48000\r\na=ptime:10\r\na=maxptime:10\r\n"), "{answer}");
    // One channel that is offered as such comes first.
    let answer = offer(&mut bench, 2, "96 99", "a=rtpmap:96 L16/48000/2\r\na=rtpmap:99 L16/48000/1\r\n");
    assert!(answer.contains("RTP/AVP 99\r\na=rtpmap:99 L16/48000\r\n"), "{answer}");
    for refused in ["L16/44100", "L16/48000/3", "L16/48000/2\r\na=fmtp:96 emphasis=50-15", "PCMU/8000/2"] {
        let answer = offer(&mut bench, 3, "96", &format!("a=rtpmap:96 {refused}\r\n"));
        assert_eq!(status(&answer), 488, "{refused}: {answer}");
    }
}

#[test]
fn a_world_restored_in_the_middle_of_transcoding_differs_in_payloads_alone() {
    let mut bench = Bench::new();
    let codecs = [Codec::G722, Codec::Pcmu, Codec::L16Wideband, Codec::G722];
    let mut members: Vec<Speaker> = (1..)
        .zip(codecs)
        .map(|(call, codec)| Speaker::join(&mut bench, call, "conf-twin", codec, (300 * call, LEVEL)))
        .collect();
    let mut twin: Option<Bench> = None;
    let (mut same, mut other) = (0, 0);
    for tick in 0..400usize {
        for member in members.iter_mut().filter(|_| tick % 4 == 0) {
            member.speak(&mut bench);
        }
        if let Some(twin) = &mut twin {
            let copy = |input: &Input| match input {
                Input::Rtp(packet) => Input::Rtp(packet.clone()),
                other => panic!("{other:?}"),
            };
            twin.pending = bench.pending.iter().map(copy).collect();
            twin.rtp.clear();
            twin.tick();
        }
        bench.rtp.clear();
        bench.tick();
        if let Some(twin) = &twin {
            assert_eq!(twin.engine.digest(), bench.engine.digest(), "tick {tick}");
            assert_eq!(twin.engine.chain(), bench.engine.chain(), "tick {tick}");
            assert_eq!(twin.rtp.len(), bench.rtp.len());
            for (one, two) in bench.rtp.iter().zip(&twin.rtp) {
                let (one, two) = (read(one.bytes()), read(two.bytes()));
                assert_eq!((one.0, one.1.len()), (two.0, two.1.len()));
                if one.1 == two.1 { same += 1 } else { other += 1 }
            }
        }
        if tick % 50 == 45 {
            let mut engine = Engine::new(&WorldConfig::default());
            engine.restore(&bench.engine.snapshot(), None).expect("it restores");
            engine.resume_chain(bench.engine.chain());
            twin = Some(Bench::of(engine, 0));
        }
    }
    assert!(other > 20, "the state of the codecs is not in a snapshot: {same} payloads are the same, {other} differ");
}
