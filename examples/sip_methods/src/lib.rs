//! SIP methods in a crate of its own that depends on ringworld alone: an INFO package (RFC 6086) and an echo for MESSAGE
//! (RFC 3428). Each plugin registers its method, which adds it to Allow; requests come as facts and are answered by
//! operations.

use ringworld::components::wire::sip::NameAddr;
use ringworld::prelude::*;

/// The INFO package: a note, which is sent back to the peer.
pub const PACKAGE: &str = "note";

/// Takes the INFO requests of one package.
#[derive(Clone, Copy, Debug)]
pub struct NotePackagePlugin;

impl Plugin for NotePackagePlugin {
    fn build(&self, app: &mut App) {
        app.add_sip_method(SipMethod::new(Method::Info, MethodScope::InviteUsage).raised());
        app.add_capability_header("Recv-Info", PACKAGE);
        app.add_systems(Tick, take_notes.in_set(Phase::Behaviour));
    }
}

fn take_notes(mut requests: MessageReader<RequestReceived>, mut operations: Operations) {
    let infos = requests.read().filter(|request| request.method == Method::Info);
    operations.for_each_call(infos, |operations, info| match info.header("Info-Package") {
        Some(package) if package.as_ref() == PACKAGE.as_bytes() => {
            operations.write(Operation::respond(info.transaction, 200));
            operations.write(Operation::send_request(SendRequest {
                target: RequestTarget::Session(info.session),
                method: Method::Info,
                headers: vec![("Info-Package".to_owned(), PACKAGE.to_owned())],
                body: Some(("text/plain".to_owned(), info.body.clone())),
            }));
        }
        Some(_) => {
            let headers = vec![("Recv-Info".to_owned(), PACKAGE.to_owned())];
            operations.write(Operation::Respond { transaction: info.transaction, status: 469, headers, body: None });
        }
        // The legacy usage (RFC 6086 section 4.2.2).
        None => {
            operations.write(Operation::respond(info.transaction, 200));
        }
    });
}

/// Sends each MESSAGE back to its sender, within its dialog or outside of any.
#[derive(Clone, Copy, Debug)]
pub struct MessageEchoPlugin;

/// What became of the messages that were sent back.
#[derive(Resource, Record, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Echoes {
    pub delivered: u32,
    pub lost: u32,
}

impl Plugin for MessageEchoPlugin {
    fn build(&self, app: &mut App) {
        app.record_resource(Echoes::default(), "message_echo.echoes");
        app.add_sip_method(SipMethod::new(Method::Message, MethodScope::Dialog).accepting(&["text/plain"]).raised());
        app.add_systems(Tick, (echo_messages, count_echoes).in_set(Phase::Behaviour));
    }
}

fn echo_messages(mut requests: MessageReader<RequestReceived>, mut operations: Operations) {
    let messages = requests.read().filter(|request| request.method == Method::Message);
    operations.for_each_call(messages, |operations, message| {
        operations.write(Operation::respond(message.transaction, 200));
        let sender = message.header("From").and_then(|from| NameAddr::parse(from.clone()).ok());
        let target = match (message.dialog, sender) {
            (Some(dialog), _) => RequestTarget::Dialog(dialog),
            (None, Some(sender)) => RequestTarget::Address {
                from: String::from_utf8_lossy(&message.uri).into_owned(),
                to: String::from_utf8_lossy(sender.uri.as_bytes()).into_owned(),
                remote: message.flow.remote,
                over_tcp: message.flow.transport.is_reliable(),
                local: message.flow.local,
            },
            (None, None) => return,
        };
        let body = Some(("text/plain".to_owned(), message.body.clone()));
        let (method, headers) = (Method::Message, Vec::new());
        operations.write(Operation::send_request(SendRequest { target, method, headers, body }));
    });
}

fn count_echoes(mut responses: MessageReader<ResponseReceived>, mut echoes: ResMut<Echoes>) {
    for response in responses.read().filter(|response| response.method == Method::Message) {
        match response.status {
            ..200 => {}
            200..300 => echoes.delivered += 1,
            _ => echoes.lost += 1,
        }
    }
}
