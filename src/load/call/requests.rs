//! What the other side asks inside the dialog.

use std::net::SocketAddr;

use super::{Call, End, Happened, Outbox, Signalling, State};
use crate::load::message::{Message, Start, parameter};
use crate::load::sdp;
use crate::load::write::response;

impl Call {
    /// A request came from `source`. Responses go to [`Call::on_response`].
    pub fn on_request(
        &mut self,
        message: &Message<'_>,
        source: SocketAddr,
        out: &mut Outbox,
        count: &mut Signalling,
    ) -> Happened {
        let (Start::Request { method, .. }, Some((cseq, _))) = (message.start, message.cseq()) else {
            count.stray += 1;
            return Happened::Nothing;
        };
        if method == "ACK" {
            return Happened::Nothing;
        }
        count.requests_answered += 1;
        let answer = |line| response(message, line, None, None, None);
        let ours = message.tag("To") == parameter(&self.identity.from, "tag")
            && message.tag("From") == parameter(&self.identity.to, "tag");
        if !ours || matches!(self.state, State::New | State::Inviting) {
            out.push((source, answer((481, "Call/Transaction Does Not Exist"))));
            return Happened::Nothing;
        }
        match method {
            "BYE" => {
                out.push((source, answer((200, "OK"))));
                if self.state == State::Confirmed {
                    self.finish(End::HungUp);
                    return Happened::Ended;
                }
            }
            "INVITE" if self.state == State::Confirmed => return self.on_reinvite(message, cseq, source, out, count),
            "INVITE" | "CANCEL" => out.push((source, answer((481, "Call/Transaction Does Not Exist")))),
            "OPTIONS" | "INFO" | "UPDATE" | "NOTIFY" | "MESSAGE" => out.push((source, answer((200, "OK")))),
            _ => out.push((source, answer((501, "Not Implemented")))),
        }
        Happened::Nothing
    }

    fn on_reinvite(
        &mut self,
        message: &Message<'_>,
        cseq: u32,
        source: SocketAddr,
        out: &mut Outbox,
        count: &mut Signalling,
    ) -> Happened {
        if let Some((_, bytes)) = self.answered.as_ref().filter(|(answered, _)| *answered == cseq) {
            count.retransmissions_seen += 1;
            out.push((source, bytes.clone()));
            return Happened::Nothing;
        }
        self.version += 1;
        let remote = sdp::read(message.body, self.law);
        let body = match &remote {
            Some(remote) => self.describe(&[remote.law], sdp::mirrored(remote)),
            // No offer in it: ours goes into the 200, and the ACK's answer changes nothing.
            None if message.body.is_empty() => self.describe(self.law.as_slice(), "sendrecv"),
            None => {
                out.push((source, response(message, (488, "Not Acceptable Here"), None, None, None)));
                return Happened::Nothing;
            }
        };
        let contact = self.identity.contact();
        let bytes = response(message, (200, "OK"), None, Some(&contact), Some(("application/sdp", &body)));
        out.push((source, bytes.clone()));
        self.answered = Some((cseq, bytes));
        match remote {
            Some(remote) => {
                self.law = Some(remote.law);
                Happened::MediaChanged(remote)
            }
            None => Happened::Nothing,
        }
    }
}
