//! Records a world into a file.

use super::error::RecordError;
use super::header::{Ending, Footer, Header};
use super::scribe::Scribe;
use super::writer::Writer;
use crate::config::RecordSettings;
use crate::engine::{Engine, WorldConfig};
use ringworld_components::edge::Input;
use serde::Serialize;
use std::io;
use std::path::{Path, PathBuf};

/// Records a world. No error of it stops the world: a recording that can't go on ends, and its summary says why.
pub struct Recorder {
    path: PathBuf,
    scribe: Scribe<Writer>,
}

/// The result of a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecordingSummary {
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// How many ticks it holds.
    pub ticks: u64,
    /// The last tick that it holds, if it ended early because it had reached its largest size.
    pub truncated_at: Option<u64>,
    /// Why it ended early, if it did for another reason.
    pub failed: Option<String>,
}

impl Recorder {
    /// Starts the recording of a fresh world.
    pub fn create(path: &Path, world: &WorldConfig, settings: &RecordSettings) -> Result<Self, RecordError> {
        let bytes_max = u64::from(settings.mib_max) << 20;
        if bytes_max == 0 {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "its largest size (record.mib_max) is 0");
            return Err(RecordError { path: path.to_owned(), error });
        }
        let header = Header::new(world, settings.media);
        Ok(Self { path: path.to_owned(), scribe: Scribe::new(header, Writer::create(path, bytes_max)?, true) })
    }

    /// Starts the recording of a world that has run before, between two ticks: it begins with a snapshot.
    pub fn create_at(
        path: &Path,
        world: &WorldConfig,
        settings: &RecordSettings,
        engine: &Engine,
    ) -> Result<Self, RecordError> {
        let mut recorder = Self::create(path, world, settings)?;
        recorder.scribe.begin_at(engine);
        Ok(recorder)
    }

    /// Writes down the inputs of the coming tick. Called before it.
    pub fn inputs(&mut self, elapsed: u32, inputs: &[Input]) {
        self.scribe.inputs(elapsed, inputs);
    }

    /// Writes down the outputs of the tick. Called after it.
    pub fn end_of_tick(&mut self, engine: &Engine) {
        self.scribe.end_of_tick(engine);
    }

    /// Ends the recording, and waits until all is written.
    pub fn finish(mut self, engine: &Engine) -> RecordingSummary {
        if !self.scribe.is_over() {
            self.scribe.write_header(engine);
            self.scribe.flush(engine);
        }
        let digest = Some(engine.digest());
        let footer = Footer { tick: engine.now().0, ticks: self.scribe.ticks(), ending: Ending::Finished, digest };
        self.end(footer)
    }

    /// Ends the recording of a world that broke in a tick after [`Recorder::inputs`], and waits until all is written.
    pub fn break_off(mut self, engine: &Engine) -> RecordingSummary {
        self.scribe.break_off(engine);
        let (tick, ticks) = (engine.now().0, self.scribe.ticks());
        self.end(Footer { tick, ticks, ending: Ending::Panicked, digest: None })
    }

    fn end(self, footer: Footer) -> RecordingSummary {
        let (writer, failed) = self.scribe.finish();
        let written = writer.finish(failed.is_none().then_some(footer));
        RecordingSummary {
            path: self.path,
            bytes: written.bytes,
            ticks: written.mark.ticks,
            truncated_at: (written.ending == Ending::SizeCap).then_some(written.mark.tick),
            failed: written.failed.or(failed),
        }
    }
}
