//! What this user agent understands (RFC 3261 section 11): methods, option tags and content types, as plugins register
//! them. Allow, Supported and Accept are derived from here.

use crate::call::KeptHeaders;
use crate::edge::Flow;
use crate::kernel::RecordApp;
use crate::wire::sip::{Method, Request, is_of_type};
use bevy_app::App;
use bevy_ecs::prelude::*;
use std::borrow::Cow;

/// What is registered, in the order of registration. The same in every run of the same build and configuration.
#[derive(Resource, Clone, Debug, Default)]
pub struct Capabilities {
    methods: Vec<SipMethod>,
    option_tags: Vec<String>,
    headers: Vec<(String, String)>,
    allow: String,
}

/// A method and what is done with its requests. ACK and CANCEL end in transactions and have no handlers.
#[derive(Clone, Debug)]
pub struct SipMethod {
    /// The method.
    pub method: Method,
    /// What it belongs to in a dialog.
    pub scope: MethodScope,
    /// The content types that its body may have; with none any may come.
    pub accept: Vec<String>,
    /// What takes a request within a dialog; without it the request is refused with 405.
    pub in_dialog: Option<RequestHandler>,
    /// What takes a request outside any dialog; without it the request is refused with 481.
    pub out_of_dialog: Option<RequestHandler>,
}

/// What a request belongs to within a dialog (RFC 5057 section 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MethodScope {
    /// The INVITE usage: without one it is refused with 481.
    InviteUsage,
    /// A subscription: without one it is refused with 481.
    Subscription,
    /// The dialog as a whole, or nothing.
    Dialog,
}

/// What takes a request of a method.
#[derive(Clone, Copy, Debug)]
pub enum RequestHandler {
    /// A function that takes one request. It responds at once, or leaves the transaction to a system that does. A panic
    /// in it is contained.
    Run(fn(&mut World, IncomingRequest)),
    /// The request is raised as a fact, [`RequestReceived`](crate::call::RequestReceived), and waits for the operation
    /// that answers it.
    Raise,
}

/// A request on its way to its handler.
#[derive(Debug)]
pub struct IncomingRequest {
    /// Its server transaction.
    pub transaction: Entity,
    /// The way it came.
    pub flow: Flow,
    /// The request.
    pub request: Box<Request>,
    /// The dialog that it is in.
    pub dialog: Option<Entity>,
    /// The INVITE usage of that dialog, if it has one and its session has not ended.
    pub usage: Option<Entity>,
}

impl SipMethod {
    /// A method of this scope without handlers.
    pub fn new(method: Method, scope: MethodScope) -> Self {
        Self { method, scope, accept: Vec::new(), in_dialog: None, out_of_dialog: None }
    }

    /// Restricts the content types that its body may have.
    #[must_use]
    pub fn accepting(mut self, content_types: &[&str]) -> Self {
        self.accept = content_types.iter().map(|kind| (*kind).to_owned()).collect();
        self
    }

    /// Whether the body of its requests is a session description, plain or among other parts (RFC 5621).
    pub fn carries_sessions(&self) -> bool {
        self.accept.iter().any(|kind| kind == "application/sdp")
    }

    /// Takes requests within a dialog.
    #[must_use]
    pub fn in_dialog(mut self, handler: fn(&mut World, IncomingRequest)) -> Self {
        self.in_dialog = Some(RequestHandler::Run(handler));
        self
    }

    /// Takes requests outside any dialog.
    #[must_use]
    pub fn out_of_dialog(mut self, handler: fn(&mut World, IncomingRequest)) -> Self {
        self.out_of_dialog = Some(RequestHandler::Run(handler));
        self
    }

    /// Raises requests as facts: those within a dialog and, unless the method belongs to a usage, those outside of one.
    #[must_use]
    pub fn raised(mut self) -> Self {
        self.in_dialog = Some(RequestHandler::Raise);
        self.out_of_dialog = (self.scope == MethodScope::Dialog).then_some(RequestHandler::Raise);
        self
    }

    /// Whether a body of this content type may come.
    pub fn accepts(&self, content_type: &[u8]) -> bool {
        let kinds: Vec<&str> = self.accept.iter().map(String::as_str).collect();
        kinds.is_empty() || is_of_type(content_type, &kinds)
    }
}

impl Capabilities {
    /// The entry of a method.
    pub fn method(&self, method: &Method) -> Option<&SipMethod> {
        self.methods.iter().find(|known| known.method == *method)
    }

    /// The value of Allow: every registered method.
    pub fn allow(&self) -> &str {
        &self.allow
    }

    /// The value of Accept: the content types of one method, or those of all.
    pub fn accept(&self, method: Option<&Method>) -> String {
        let mut kinds: Vec<&str> = Vec::new();
        let methods = self.methods.iter().filter(|known| method.is_none_or(|method| known.method == *method));
        for kind in methods.flat_map(|known| &known.accept) {
            if !kinds.contains(&kind.as_str()) {
                kinds.push(kind);
            }
        }
        kinds.join(", ")
    }

    /// The value of Supported: every registered option tag. Empty if there is none.
    pub fn supported(&self) -> String {
        self.option_tags.join(", ")
    }

    /// Whether an option tag is registered.
    pub fn supports(&self, option_tag: &[u8]) -> bool {
        self.option_tags.iter().any(|known| option_tag.eq_ignore_ascii_case(known.as_bytes()))
    }

    /// The header fields that tell a peer what is understood: in an INVITE, in its responses that make a dialog, and in
    /// the response to OPTIONS.
    pub fn headers(&self) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
        let allow = std::iter::once(("Allow", Cow::Borrowed(self.allow.as_str())));
        let supported = (!self.option_tags.is_empty()).then(|| ("Supported", Cow::Owned(self.supported())));
        let others = self.headers.iter().map(|(name, value)| (name.as_str(), Cow::Borrowed(value.as_str())));
        allow.chain(supported).chain(others)
    }
}

/// Adds to what is understood.
pub trait SipApp {
    /// Adds a method, or takes the place of one that was added before.
    fn add_sip_method(&mut self, method: SipMethod) -> &mut Self;
    /// Adds an option tag to Supported; requests that require it are taken from then on.
    fn add_option_tag(&mut self, option_tag: &str) -> &mut Self;
    /// Adds a header field to [`Capabilities::headers`], such as Recv-Info (RFC 6086 section 5.2).
    fn add_capability_header(&mut self, name: &str, value: &str) -> &mut Self;
    /// Keeps the header fields of a name (long form, any case) of every first INVITE that comes in with its session, in
    /// [`Parties::headers`](crate::call::Parties::headers).
    fn keep_header(&mut self, name: &str) -> &mut Self;
}

impl SipApp for App {
    fn add_sip_method(&mut self, method: SipMethod) -> &mut Self {
        let mut capabilities = capabilities(self);
        match capabilities.methods.iter_mut().find(|known| known.method == method.method) {
            Some(known) => *known = method,
            None => capabilities.methods.push(method),
        }
        let names: Vec<&str> = capabilities.methods.iter().map(|known| known.method.as_str()).collect();
        capabilities.allow = names.join(", ");
        self
    }

    fn add_option_tag(&mut self, option_tag: &str) -> &mut Self {
        let mut capabilities = capabilities(self);
        if !capabilities.supports(option_tag.as_bytes()) {
            capabilities.option_tags.push(option_tag.to_owned());
        }
        self
    }

    fn add_capability_header(&mut self, name: &str, value: &str) -> &mut Self {
        capabilities(self).headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn keep_header(&mut self, name: &str) -> &mut Self {
        if !self.world().contains_resource::<KeptHeaders>() {
            self.unrecorded_resource(KeptHeaders::default());
        }
        self.world_mut().resource_mut::<KeptHeaders>().keep(name);
        self
    }
}

fn capabilities(app: &mut App) -> Mut<'_, Capabilities> {
    if !app.world().contains_resource::<Capabilities>() {
        app.unrecorded_resource(Capabilities::default());
    }
    app.world_mut().resource_mut::<Capabilities>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::KernelPlugin;

    fn taken(_: &mut World, _: IncomingRequest) {}

    #[test]
    fn allow_and_accept_follow_what_is_registered_and_the_last_one_replaces() {
        let mut app = App::empty();
        app.add_plugins(KernelPlugin::default());
        app.add_sip_method(SipMethod::new(Method::Invite, MethodScope::InviteUsage).accepting(&["application/sdp"]));
        app.add_sip_method(SipMethod::new(Method::Info, MethodScope::InviteUsage));
        app.add_sip_method(SipMethod::new(Method::Message, MethodScope::Dialog).accepting(&["text/plain"]));
        app.add_sip_method(SipMethod::new(Method::Info, MethodScope::InviteUsage).in_dialog(taken));
        app.add_option_tag("100rel").add_option_tag("100REL");
        let capabilities = app.world().resource::<Capabilities>();
        assert_eq!(capabilities.allow(), "INVITE, INFO, MESSAGE");
        assert_eq!(capabilities.accept(None), "application/sdp, text/plain");
        assert_eq!(capabilities.accept(Some(&Method::Message)), "text/plain");
        assert_eq!(capabilities.supported(), "100rel");
        assert!(capabilities.method(&Method::Info).is_some_and(|info| info.in_dialog.is_some()));
        let message = capabilities.method(&Method::Message).expect("it is registered");
        assert!(message.accepts(b"Text/Plain ;charset=utf-8") && !message.accepts(b"text/html"));
    }
}
