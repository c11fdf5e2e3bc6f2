//! The DSCP (RFC 2474) that packets are marked with, by socket.

use nix::sys::socket::{setsockopt, sockopt};
use ringworld_components::call::QosClass;
use std::os::fd::AsFd;

/// The DSCP of each kind of packet, 0 to 63.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// SIP.
    pub signalling: u8,
    /// RTP and RTCP of [`QosClass::Voice`].
    pub voice: u8,
    /// RTP and RTCP of [`QosClass::Video`].
    pub video: u8,
    /// RTP and RTCP of [`QosClass::ExpeditedForwarding`].
    pub expedited: u8,
}

/// CS3, EF, AF41 and EF.
impl Default for Marks {
    fn default() -> Self {
        Self { signalling: 24, voice: 46, video: 34, expedited: 46 }
    }
}

impl Marks {
    /// The DSCP of a class.
    pub fn of(&self, class: QosClass) -> u8 {
        match class {
            QosClass::Voice => self.voice,
            QosClass::Video => self.video,
            QosClass::ExpeditedForwarding => self.expedited,
        }
    }

    pub(super) fn are_legal(&self) -> bool {
        [self.signalling, self.voice, self.video, self.expedited].iter().all(|dscp| *dscp < 64)
    }
}

/// Marks what leaves a socket from now on. A socket of IPv6 may carry IPv4 too, which has an option of its own.
pub(super) fn mark(socket: &impl AsFd, v6: bool, dscp: u8) -> nix::Result<()> {
    let octet = i32::from(dscp) << 2;
    if !v6 {
        return setsockopt(socket, sockopt::Ipv4Tos, &octet);
    }
    setsockopt(socket, sockopt::Ipv6TClass, &octet)?;
    // A socket for IPv6 alone refuses it.
    let _ = setsockopt(socket, sockopt::Ipv4Tos, &octet);
    Ok(())
}

/// As [`mark`], for a socket of signalling: a mark that the system refuses is no reason not to start.
pub(super) fn mark_or_warn(socket: &impl AsFd, v6: bool, dscp: u8) {
    if let Err(error) = mark(socket, v6, dscp) {
        tracing::warn!("the DSCP of a socket can't be set to {dscp}: {error}");
    }
}
