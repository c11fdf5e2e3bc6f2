//! A call to the echo over any transport and family.

use crate::common::text::sdp;
use crate::common::{audio_port, header, sip_input, status, tag};
use crate::town::{packet, settings};
use ringworld::components::edge::{ConnId, Flow, Input, Output, Transport};
use ringworld::config::RecordMedia;
use ringworld::engine::{Engine, WorldConfig};
use ringworld::replay::Recorder;
use std::net::SocketAddr;
use std::path::Path;

/// Records a call of a second, of which every tenth packet is lost.
pub fn record_call(path: &Path, transport: Transport, switch: &str, peer: &str) {
    let (switch, peer): (SocketAddr, SocketAddr) = (switch.parse().expect("it"), peer.parse().expect("it"));
    let via = transport.as_str();
    let sdp = sdp(SocketAddr::new(peer.ip(), 40_000), "0", "");
    let request = |method: &str, cseq: u32, to_tag: &str, body: &str| {
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{method} sip:echo@{switch} SIP/2.0\r\nVia: SIP/2.0/{via} {peer};branch=z9hG4bK{method}{cseq}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:me@{peer}>;tag=me\r\nTo: <sip:echo@{switch}>{to_tag}\r\nCall-ID: wire\r\n\
             CSeq: {cseq} {method}\r\nContact: <sip:me@{peer};transport={via}>\r\n{content}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let conn = if transport == Transport::Tcp { ConnId(1) } else { ConnId::NONE };
    let flow = Flow { transport, local: switch, remote: peer, conn };
    let said = |text: &str| match sip_input(text, "10.0.0.2:5070") {
        Input::Sip { bytes, message, .. } => Input::Sip { flow, bytes, message },
        other => other,
    };
    let mut engine = Engine::new(&WorldConfig::default());
    let mut recorder = Recorder::create(path, &WorldConfig::default(), &settings(RecordMedia::Full)).expect("it");
    let (mut to_tag, mut port) = (String::new(), 0);
    for tick in 1..=260 {
        let mut inputs = match tick {
            1 if transport == Transport::Tcp => vec![Input::PortOpened(10_000), Input::ConnOpened(flow)],
            1 => vec![Input::PortOpened(10_000)],
            10 => vec![said(&request("INVITE", 1, "", &sdp))],
            12 => vec![said(&request("ACK", 1, &to_tag, ""))],
            220 => vec![said(&request("BYE", 2, &to_tag, ""))],
            _ => Vec::new(),
        };
        if (14..214).contains(&tick) && tick % 4 == 0 && tick % 40 != 20 {
            let number = (tick / 4) as u16;
            let mut rtp = vec![0x80, 0];
            rtp.extend((65_520 + u32::from(number)).to_be_bytes()[2..].iter());
            rtp.extend((u32::from(number) * 160).to_be_bytes());
            rtp.extend(7_u32.to_be_bytes());
            rtp.extend([0x55; 160]);
            let source = SocketAddr::new(peer.ip(), 40_000).to_string();
            inputs.push(packet(port, &source, tick * 5_000 - 1_234, &rtp));
        }
        recorder.inputs(1, &inputs);
        let outputs = engine.tick(1, inputs);
        recorder.end_of_tick(&engine);
        for output in outputs.control {
            let Output::Sip { bytes, .. } = output else { continue };
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if status(&text) == 200 && header(&text, "CSeq") == Some("1 INVITE") {
                to_tag = format!(";tag={}", header(&text, "To").and_then(tag).expect("a tag"));
                port = audio_port(&text);
            }
        }
    }
    recorder.finish(&engine);
}
