//! stub while the real one is written
use crate::config::RecordSettings;
use crate::engine::{Engine, WorldConfig};
use ringworld_components::edge::Input;
use serde::Serialize;
use std::path::Path;
pub struct Recorder;
#[derive(Clone, Debug, Serialize)]
pub struct RecordingSummary;
#[derive(Debug)]
pub struct RecordError;
impl std::fmt::Display for RecordError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("stub")
    }
}
impl Recorder {
    pub fn create(_: &Path, _: &WorldConfig, _: &RecordSettings) -> Result<Self, RecordError> {
        Err(RecordError)
    }
    pub fn inputs(&mut self, _: u32, _: &[Input]) {}
    pub fn end_of_tick(&mut self, _: &Engine) {}
    pub fn finish(self, _: &Engine) -> RecordingSummary {
        RecordingSummary
    }
}
