//! Assembles the registrar.

use super::register;
use bevy_app::{App, Plugin};
use ringworld_components::kernel::RecordApp;
use ringworld_components::sip::{MethodScope, Registrations, SipApp, SipMethod};
use ringworld_components::wire::sip::Method;

/// Bindings of registered addresses, by REGISTER.
#[derive(Clone, Copy, Debug, Default)]
pub struct RegistrarPlugin;

impl Plugin for RegistrarPlugin {
    fn build(&self, app: &mut App) {
        app.record_resource(Registrations::default(), "registrar.registrations");
        app.add_sip_method(SipMethod::new(Method::Register, MethodScope::Dialog).out_of_dialog(register::receive));
    }
}
