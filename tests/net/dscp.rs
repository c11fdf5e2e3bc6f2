//! How a datagram was marked (RFC 2474), as the receiving system reports it.

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use std::io::IoSliceMut;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

/// Has the system report the mark of each datagram that comes to a socket.
pub fn tell_marks(socket: &UdpSocket) {
    if socket.local_addr().unwrap().is_ipv4() {
        setsockopt(socket, sockopt::IpRecvTos, &true).unwrap();
    } else {
        setsockopt(socket, sockopt::Ipv6RecvTClass, &true).unwrap();
    }
}

/// The DSCP of the next datagram.
pub fn dscp(peer: &UdpSocket) -> u8 {
    let mut bytes = [0; 2_048];
    let mut slices = [IoSliceMut::new(&mut bytes)];
    let mut space = nix::cmsg_space!(i32);
    let message =
        recvmsg::<SockaddrStorage>(peer.as_raw_fd(), &mut slices, Some(&mut space), MsgFlags::empty()).unwrap();
    let mark = message.cmsgs().unwrap().find_map(|control| match control {
        ControlMessageOwned::Ipv4Tos(octet) => Some(octet >> 2),
        ControlMessageOwned::Ipv6TClass(octet) => u8::try_from(octet >> 2).ok(),
        _ => None,
    });
    mark.expect("a mark")
}
