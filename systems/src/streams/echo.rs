//! Echo: a packet goes back to where it came from, in its own buffer.

use ringworld_components::edge::Packet;
use ringworld_components::kernel::Now;
use ringworld_components::media::{EchoShift, RtpState, Stream, frame_of};
use ringworld_components::wire::rtp::{self, RtpHeader};
use ringworld_components::wire::sdp::Negotiated;

/// Rewrites the header in place. Gaps and jumps of the source are kept, so losses stay visible; another source
/// continues where the last one left off.
pub(super) fn turn_around(
    packet: &mut Packet,
    header: &RtpHeader,
    stream: &Stream,
    agreed: &Negotiated,
    flow: &mut RtpState,
    now: Now,
) {
    let shift = match flow.echo {
        Some(shift) if shift.ssrc == header.ssrc => shift,
        _ => EchoShift {
            ssrc: header.ssrc,
            sequence: flow.sequence.wrapping_sub(header.sequence),
            timestamp: flow.timestamp_of(frame_of(now)).wrapping_sub(header.timestamp),
            next_frame: 0,
        },
    };
    flow.echo = Some(EchoShift { next_frame: frame_of(now) + 1, ..shift });
    let is_event = agreed.receive_dtmf_payload_type == Some(header.payload_type);
    let echoed = RtpHeader {
        marker: header.marker,
        payload_type: agreed.dtmf_payload_type.filter(|_| is_event).unwrap_or(agreed.payload_type),
        sequence: header.sequence.wrapping_add(shift.sequence),
        timestamp: header.timestamp.wrapping_add(shift.timestamp),
        ssrc: stream.ssrc,
    };
    // The first byte says whether contributing sources, an extension or padding follow: they stay.
    let first = packet.bytes().first().copied();
    rtp::write_header(packet.bytes_mut(), &echoed);
    if let (Some(first), Some(place)) = (first, packet.bytes_mut().first_mut()) {
        *place = first;
    }
    // The numbers of later packets never go back, so a late packet does not undo them.
    let next = echoed.sequence.wrapping_add(1);
    if next.wrapping_sub(flow.sequence) < 0x8000 {
        flow.sequence = next;
    }
    flow.sent = flow.sent.wrapping_add(1);
}
