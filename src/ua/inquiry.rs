//! A request outside of any call: OPTIONS, REGISTER, MESSAGE or whatever else.

use super::call::Extra;
use super::message::Start;
use super::write::Request;
use super::{Identity, Message, Outbox, Transaction};
use std::net::SocketAddr;

/// One request and its result.
#[derive(Debug)]
pub struct Inquiry {
    pub identity: Identity,
    method: String,
    /// None once it is answered or given up.
    transaction: Option<Transaction>,
}

impl Inquiry {
    /// Sends the request to `hop`.
    pub fn send(
        now: u64,
        identity: Identity,
        (method, uri, hop): (&str, &str, SocketAddr),
        extra: Extra<'_>,
        out: &mut Outbox,
    ) -> Inquiry {
        let branch = format!("z9hG4bK{}.1", identity.tag());
        let (to, headers, body) = (&identity.to, extra.headers, extra.body);
        let request = Request { method, uri, route: &[], cseq: 1, branch: &branch, to, headers, body };
        let bytes = identity.request(&request);
        let transaction = Some(Transaction::start(now, (hop, branch), bytes, (false, identity.reliable), out));
        Inquiry { identity, method: method.to_owned(), transaction }
    }

    /// A response of this Call-ID came.
    pub fn on_response(&mut self, now: u64, message: &Message<'_>) {
        let (Start::Response { status, .. }, Some(transaction)) = (message.start, &mut self.transaction) else {
            return;
        };
        let is_ours = message.branch() == Some(&transaction.branch)
            && message.cseq().is_some_and(|(_, method)| method == self.method);
        match status {
            _ if !is_ours => {}
            ..200 => transaction.provisional(now, false),
            _ => self.transaction = None,
        }
    }

    /// When [`Inquiry::on_time`] should be called next.
    pub fn due_at(&self) -> u64 {
        self.transaction.as_ref().map_or(u64::MAX, Transaction::due_at)
    }

    /// Retransmits what was not answered, and gives up what never will be.
    pub fn on_time(&mut self, now: u64, out: &mut Outbox) {
        if let Some(transaction) = &mut self.transaction {
            transaction.resend(now, out);
        }
        self.transaction.take_if(|transaction| now >= transaction.give_up_at);
    }
}
