//! `ringworld call`: one call from the terminal.

use super::output::print;
use super::signals::Signals;
use super::{FAILED, USAGE, fail};
use crate::load::softphone::{self, Conversation, Event, Failure, Settings};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The arguments of `ringworld call`.
#[derive(clap::Args, Debug)]
pub struct CallArgs {
    /// The URI to call: sip:USER@HOST[:PORT][;transport=tcp].
    uri: String,
    /// The address shown to the other side.
    #[arg(long, value_name = "URI")]
    from: Option<String>,
    /// How long to stay after the answer, in seconds; longer if --dtmf or --play need it.
    #[arg(long, value_name = "N", default_value_t = 5)]
    seconds: u64,
    /// The tone to send; silence without.
    #[arg(long, value_name = "HZ")]
    tone: Option<u16>,
    /// The WAV file to play once, of 8000 Hz, one channel and 16 bits; silence after it.
    #[arg(long, value_name = "FILE.wav", conflicts_with = "tone")]
    play: Option<PathBuf>,
    /// Digits to send: 0-9 * # A-D.
    #[arg(long, value_name = "DIGITS", default_value = "")]
    dtmf: String,
    /// The tone that must be heard.
    #[arg(long, value_name = "HZ")]
    expect_tone: Option<u16>,
    /// Where to write what was heard.
    #[arg(long, value_name = "FILE.wav")]
    hear: Option<PathBuf>,
}

/// Places the call. The exit code is 0 only if it was answered and what was expected was heard.
pub fn run(args: CallArgs) -> ExitCode {
    let stop = Arc::new(AtomicBool::new(false));
    hang_up_on_signal(stop.clone());
    let settings = Settings {
        from: args.from,
        seconds: args.seconds,
        tone_hz: args.tone,
        play: args.play,
        dtmf: args.dtmf,
        expect_tone_hz: args.expect_tone,
        hear: args.hear,
        stop: Some(stop),
        ..Settings::new(args.uri)
    };
    match softphone::call(&settings, |event| print(&told(event))) {
        Ok(conversation) => {
            print(&outcome(&settings, &conversation));
            ExitCode::SUCCESS
        }
        Err(failure) => fail(code_of(&failure), failure),
    }
}

/// What the command line did wrong is a usage error; everything else is a failed call.
fn code_of(failure: &Failure) -> u8 {
    match failure {
        Failure::BadUri(_) | Failure::NeedsTls(_) | Failure::BadDigit(_) | Failure::BadSetting(_) => USAGE,
        Failure::BadSound { .. } => USAGE,
        _ => FAILED,
    }
}

/// The thread waits until the process ends. Without it, Ctrl-C ends the process without a BYE.
fn hang_up_on_signal(stop: Arc<AtomicBool>) {
    let Ok(mut signals) = Signals::listen() else { return };
    let waiting = std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        signals.wait_for_end();
        stop.store(true, Ordering::Relaxed);
    });
    if let Err(error) = waiting {
        tracing::warn!(%error, "Ctrl-C will not hang up");
    }
}

fn told(event: Event) -> String {
    match event {
        Event::Calling(address) => format!("calling {address}\n"),
        Event::Ringing(status) => format!("ringing ({status})\n"),
        Event::Answered { after, law } => format!("answered after {} with {}\n", milliseconds(after), law.name()),
        Event::DigitHeard(digit) => format!("digit {digit}\n"),
        Event::Held(true) => "put on hold\n".to_owned(),
        Event::Held(false) => "taken back\n".to_owned(),
        Event::HungUpByOther => "hung up by the other side\n".to_owned(),
    }
}

fn outcome(settings: &Settings, conversation: &Conversation) -> String {
    let Conversation { packets_sent, packets_received, packets_lost, heard, .. } = conversation;
    let mut text = format!(
        "{packets_sent} packets sent, {packets_received} received, {packets_lost} lost; {} of sound\n",
        milliseconds(*heard)
    );
    if let Some(hz) = settings.expect_tone_hz {
        text.push_str(&format!("{hz} Hz was heard, as expected\n"));
    }
    if let Some(file) = &settings.hear {
        text.push_str(&format!("what was heard is in {}\n", file.display()));
    }
    text
}

fn milliseconds(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_command_line_is_a_usage_error() {
        assert_eq!(code_of(&Failure::BadDigit('x')), USAGE);
        assert_eq!(code_of(&Failure::Rejected { status: 486, phrase: "Busy Here".into() }), FAILED);
        assert_eq!(code_of(&Failure::NothingHeard), FAILED);
    }
}
