//! Numbers and addresses as text, without the cost of formatting: some stand in every message.

use std::net::{IpAddr, SocketAddr};

/// A buffer that text is appended to.
pub(crate) trait PushText {
    /// Appends text.
    fn push_text(&mut self, text: &str);

    /// Appends a decimal number.
    fn push_number(&mut self, number: u64) {
        self.push_text(itoa::Buffer::new().format(number));
    }

    /// Appends an address, without brackets.
    fn push_ip(&mut self, ip: IpAddr) {
        match ip {
            IpAddr::V4(ip) => {
                for (index, octet) in ip.octets().into_iter().enumerate() {
                    if index > 0 {
                        self.push_text(".");
                    }
                    self.push_number(octet.into());
                }
            }
            IpAddr::V6(ip) => self.push_text(&ip.to_string()),
        }
    }

    /// Appends an address and its port; an IPv6 address stands in brackets.
    fn push_socket(&mut self, address: SocketAddr) {
        match address {
            SocketAddr::V4(address) => {
                self.push_ip((*address.ip()).into());
                self.push_text(":");
                self.push_number(address.port().into());
            }
            SocketAddr::V6(address) => self.push_text(&address.to_string()),
        }
    }
}

impl PushText for String {
    fn push_text(&mut self, text: &str) {
        self.push_str(text);
    }
}

impl PushText for Vec<u8> {
    fn push_text(&mut self, text: &str) {
        self.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_reads_as_it_does_formatted(ip: IpAddr, port: u16, number: u64) {
            let (mut text, mut octets) = (String::new(), Vec::new());
            text.push_ip(ip);
            prop_assert_eq!(text, ip.to_string());
            octets.push_socket(SocketAddr::new(ip, port));
            octets.push_number(number);
            prop_assert_eq!(String::from_utf8(octets).unwrap(), format!("{}{number}", SocketAddr::new(ip, port)));
        }
    }
}
