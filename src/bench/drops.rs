//! Datagrams that the kernel dropped because the process did not read them in time.

use std::fs::read_to_string;

/// Drops of receive buffers, up to a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Drops {
    /// In front of one port.
    pub at_port: u64,
    /// Of the whole machine.
    pub everywhere: u64,
}

impl Drops {
    /// Reads them; what can't be read counts as none.
    pub fn read(port: u16) -> Self {
        let file = |path| read_to_string(path).unwrap_or_default();
        let at_port = ["/proc/net/udp", "/proc/net/udp6"].map(|path| at_port(&file(path), port));
        Self { at_port: at_port.into_iter().sum(), everywhere: everywhere(&file("/proc/net/snmp")) }
    }

    /// Those since `before`.
    pub fn since(self, before: Self) -> Self {
        Self {
            at_port: self.at_port.saturating_sub(before.at_port),
            everywhere: self.everywhere.saturating_sub(before.everywhere),
        }
    }
}

/// A line a socket: its address and port in hexadecimal stand second, its drops last.
fn at_port(sockets: &str, port: u16) -> u64 {
    let ending = format!(":{port:04X}");
    let ours = sockets.lines().filter(|line| line.split_whitespace().nth(1).is_some_and(|at| at.ends_with(&ending)));
    ours.filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok()).sum()
}

/// Two lines a protocol: names and values.
fn everywhere(protocols: &str) -> u64 {
    let mut udp = protocols.lines().filter_map(|line| line.strip_prefix("Udp: ")).map(str::split_whitespace);
    let (Some(mut names), Some(mut values)) = (udp.next(), udp.next()) else { return 0 };
    let at = names.position(|name| name == "RcvbufErrors");
    at.and_then(|at| values.nth(at)?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn the_tables_of_the_kernel_are_read() {
        let sockets = "  sl  local_address rem_address   st ... drops\n\
                       90: 0100007F:13C4 00000000:0000 07 0 0 0 0 1 2 0 17\n 91: 0100007F:13C5 00000000:0000 07 5\n";
        assert_eq!((at_port(sockets, 5060), at_port(sockets, 5061), at_port(sockets, 5062)), (17, 5, 0));
        assert_eq!(everywhere("Udp: InErrors RcvbufErrors\nUdp: 3 4\nUdpLite: RcvbufErrors\nUdpLite: 9\n"), 4);
    }

    #[test]
    fn a_socket_that_is_not_read_drops() {
        let (deaf, speaker) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let address = deaf.local_addr().unwrap();
        let before = Drops::read(address.port());
        for _ in 0..2_000 {
            speaker.send_to(&[0; 8_000], address).unwrap();
        }
        let dropped = Drops::read(address.port()).since(before);
        assert!(dropped.at_port > 0 && dropped.everywhere >= dropped.at_port, "{dropped:?}");
    }
}
