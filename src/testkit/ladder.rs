//! The messages between the phones and the switch, as a failing test prints them.

use super::message::SipText;
use ringworld_components::kernel::Now;
use std::fmt::Write;

/// A message on its way.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub at: Now,
    /// The phone; none of this number if the switch sent it elsewhere.
    pub device: usize,
    /// Whether the phone sent it.
    pub is_ours: bool,
    pub text: SipText,
}

impl Message {
    pub fn new(at: Now, device: usize, is_ours: bool, bytes: &[u8]) -> Self {
        Self { at, device, is_ours, text: SipText(String::from_utf8_lossy(bytes).into_owned()) }
    }
}

/// All messages so far, in order.
#[derive(Debug, Default)]
pub(super) struct Ladder(Vec<Message>);

/// How many messages a failure shows.
const SHOWN: usize = 24;

impl Ladder {
    pub fn push(&mut self, message: Message) {
        self.0.push(message);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The first message from place `since` on that came to this phone and is wanted, and its place.
    pub fn find(&self, device: usize, since: usize, wanted: impl Fn(&SipText) -> bool) -> Option<(usize, SipText)> {
        let found = self.0.iter().enumerate().skip(since);
        let mut found = found.filter(|(_, message)| message.device == device && !message.is_ours);
        found.find(|(_, message)| wanted(&message.text)).map(|(place, message)| (place, message.text.clone()))
    }

    /// The last messages, one a line; `names` are those of the phones.
    pub fn show(&self, names: &[&str]) -> String {
        let mut shown = String::new();
        let skipped = self.0.len().saturating_sub(SHOWN);
        if skipped > 0 {
            let _ = writeln!(shown, "  ({skipped} messages before)");
        }
        for message in self.0.iter().skip(skipped) {
            let name = names.get(message.device).copied().unwrap_or("another address");
            let arrow = if message.is_ours { "->" } else { "<-" };
            let seconds = message.at.0 as f64 / 200.0;
            let first = message.text.0.lines().next().unwrap_or_default();
            let cseq = message.text.header("CSeq").unwrap_or_default();
            let _ = writeln!(shown, "  {seconds:>9.3} s  {name} {arrow} switch  {first}  ({cseq})");
        }
        shown
    }
}
