//! The ladder of a call as a picture.

use super::svg_text::{Canvas, cut, wrapped};
use super::{SipStep, Trace, What};
use crate::capture::{description, message};
use crate::inspect::{duration, seconds, utc};
use ringworld_components::kernel::{Now, TICK};
use std::net::SocketAddr;
use std::time::Duration;

/// Where the first lane runs.
const LEFT: usize = 210;
/// Pixels between two lanes.
const LANE: usize = 430;
/// Pixels for the notes beside the last lane.
const NOTES: usize = 430;
/// Where the lanes begin.
const TOP: usize = 150;
/// Half the width of the box at the head of a lane.
const HEAD: usize = 95;
/// Characters of a label that fit between two lanes.
const LABEL_MAX: usize = 58;
/// Characters of a note that fit beside the last lane, were all of them digits.
const NOTE_MAX: usize = 54;

/// A pause that gets a line.
const PAUSE: Duration = Duration::from_secs(1);

const STYLE: &str = "
text{font-family:'DejaVu Sans','Segoe UI',Helvetica,Arial,sans-serif;font-size:12px;fill:#1f2328}
.page{fill:#ffffff}
.title{font-size:17px;font-weight:600}
.sub{fill:#59636e}
.head{fill:#f6f8fa;stroke:#d1d9e0}
.switch{fill:#ddf4ff;stroke:#54aeff}
.name{text-anchor:middle;font-weight:600}
.lane{stroke:#d1d9e0;stroke-width:1.5}
.core{stroke:#54aeff;stroke-width:2}
.flow{fill:#8250df;fill-opacity:.07}
.time{text-anchor:end;fill:#59636e;font-variant-numeric:tabular-nums}
.pause{fill:#818b98;font-style:italic}
.rest{stroke:#ffffff;stroke-width:4;stroke-dasharray:3 5}
.label{text-anchor:middle;font-weight:600}
.detail{text-anchor:middle;font-size:10.5px;fill:#59636e}
.request{stroke:#0969da;stroke-width:1.6;fill:#0969da}
.wait{stroke:#9a6700;stroke-width:1.6;fill:#9a6700}
.good{stroke:#1a7f37;stroke-width:1.6;fill:#1a7f37}
.bad{stroke:#cf222e;stroke-width:1.6;fill:#cf222e}
.again{stroke-dasharray:5 4;opacity:.65}
text.request,text.wait,text.good,text.bad{stroke:none}
.tip{stroke:none;stroke-dasharray:none}
.state{fill:#0969da}
.media{fill:#8250df}
.command{fill:#bc4c00}
text.note{fill:#1f2328}
";

/// Draws a call.
pub fn svg(trace: &Trace) -> String {
    let peers = trace.peers();
    let mut picture =
        Picture { canvas: Canvas::default(), core: LEFT + LANE * peers.len().max(1), y: TOP, before: None };
    let height = picture.measure(trace);
    picture.heads(trace, &peers, height);
    for step in &trace.steps {
        picture.time(step.at);
        match &step.what {
            What::Sip(message) => picture.message(message, &peers),
            note => picture.note(note),
        }
    }
    let width = picture.core + NOTES;
    picture.canvas.finish(width, height, STYLE)
}

struct Picture {
    canvas: Canvas,
    /// Where the switch's lane runs.
    core: usize,
    /// Where the next step is drawn.
    y: usize,
    before: Option<Now>,
}

impl Picture {
    /// How high the picture becomes.
    fn measure(&self, trace: &Trace) -> usize {
        let mut before: Option<Now> = None;
        let mut height = TOP + 40;
        for step in &trace.steps {
            height += rows(&step.what);
            if before.is_some_and(|before| step.at.since(before) >= PAUSE) {
                height += PAUSE_ROW;
            }
            before = Some(step.at);
        }
        height
    }

    fn heads(&mut self, trace: &Trace, peers: &[SocketAddr], height: usize) {
        let ids = trace.call_ids.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        self.canvas.text(28, 36, "title", &cut(&format!("Call {ids}"), 90));
        let sessions = trace.sessions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let began = trace.steps.first().map(|step| step.at).unwrap_or_default();
        let ended = trace.steps.last().map(|step| step.at).unwrap_or_default();
        let unix_ms = trace.began_unix_ms.saturating_add(began.0.saturating_mul(TICK.as_millis() as u64));
        let session = if sessions.is_empty() { "no session".to_owned() } else { format!("session {sessions}") };
        let line = format!("{session}  ·  from {}  ·  {}", utc(unix_ms), duration(ended.since(began)));
        self.canvas.text(28, 58, "sub", &line);
        self.flow(trace);
        for (at, peer) in peers.iter().enumerate() {
            let x = LEFT + LANE * at;
            self.canvas.line((x, TOP - 34), (x, height - 24), "lane");
            self.canvas.rect((x - HEAD, TOP - 72), (2 * HEAD, 38), 6, "head");
            self.canvas.text(x, TOP - 48, "name", &peer.to_string());
        }
        let local = trace.messages().next().map(|message| message.local.to_string()).unwrap_or_default();
        self.canvas.line((self.core, TOP - 34), (self.core, height - 24), "core");
        self.canvas.rect((self.core - HEAD, TOP - 72), (2 * HEAD, 38), 6, "switch");
        self.canvas.text(self.core, TOP - 57, "name", "ringworld");
        self.canvas.text(self.core, TOP - 41, "detail", &local);
    }

    /// A band behind the steps between which there are media.
    fn flow(&mut self, trace: &Trace) {
        let (mut y, mut before, mut since): (usize, Option<Now>, Option<usize>) = (TOP, None, None);
        for step in &trace.steps {
            if before.is_some_and(|before| step.at.since(before) >= PAUSE) {
                y += PAUSE_ROW;
            }
            before = Some(step.at);
            if let What::Media(text) = &step.what {
                if text.starts_with("agreed") && since.is_none() {
                    since = Some(y);
                } else if text.contains(" released")
                    && let Some(from) = since.take()
                {
                    self.canvas.rect((LEFT, from - 8), (self.core - LEFT, y + 8 - from), 0, "flow");
                }
            }
            y += rows(&step.what);
        }
        if let Some(from) = since {
            self.canvas.rect((LEFT, from - 8), (self.core - LEFT, y + 8 - from), 0, "flow");
        }
    }

    /// The time beside a step, and the pause before it.
    fn time(&mut self, at: Now) {
        if let Some(pause) = self.before.map(|before| at.since(before)).filter(|&pause| pause >= PAUSE) {
            self.canvas.text(LEFT + 12, self.y + 2, "pause", &format!("{} later", duration(pause)));
            self.canvas.line((self.core, self.y - 12), (self.core, self.y + 12), "rest");
            self.y += PAUSE_ROW;
        }
        if self.before != Some(at) {
            self.canvas.text(95, self.y + 4, "time", &seconds(at));
        }
        self.before = Some(at);
    }

    fn message(&mut self, message: &SipStep, peers: &[SocketAddr]) {
        let lane = peers.iter().position(|peer| *peer == message.peer).unwrap_or(0);
        let (x, y) = (LEFT + LANE * lane, self.y + 8);
        let mut class = match message::status(&message.bytes) {
            None => "request",
            Some(..=199) => "wait",
            Some(200..=299) => "good",
            Some(_) => "bad",
        }
        .to_owned();
        let mut label = message::title(&message.bytes);
        if message.is_again {
            label.push_str(" (again)");
        }
        let middle = (x + self.core) / 2;
        let most = LABEL_MAX * (peers.len() - lane);
        let whole = String::from_utf8_lossy(&message.bytes).into_owned();
        self.canvas.text_with_title(middle, y - 6, &format!("label {class}"), &cut(&label, most), &whole);
        if message.is_again {
            class.push_str(" again");
        }
        let (from, to) = if message.is_ours { (self.core - 2, x + 2) } else { (x + 2, self.core - 2) };
        self.canvas.line((from, y), (to, y), &class);
        self.canvas.tip((to, y), !message.is_ours, &class);
        if let Some(description) = description::summary(&message.bytes) {
            self.canvas.text(middle, y + 14, "detail", &cut(&description, most + 8));
        }
        self.y += rows_of_message(message);
    }

    fn note(&mut self, what: &What) {
        let class = match what {
            What::State(_) => "state",
            What::Command(_) => "command",
            _ => "media",
        };
        self.canvas.dot((self.core, self.y), class);
        for (at, line) in lines_of_note(what).iter().enumerate() {
            let y = self.y + 4 + at * NOTE_LINE;
            self.canvas.text(self.core + 14, y, &format!("note {class}"), line);
        }
        self.y += rows(what);
    }
}

const NOTE_ROW: usize = 24;
/// Pixels that each further line of a note takes.
const NOTE_LINE: usize = 16;
const PAUSE_ROW: usize = 30;

/// Pixels that a step takes.
fn rows(what: &What) -> usize {
    match what {
        What::Sip(message) => rows_of_message(message),
        note => NOTE_ROW + NOTE_LINE * lines_of_note(note).len().saturating_sub(1),
    }
}

/// The text of a step that is no message, in lines that fit beside the last lane.
fn lines_of_note(what: &What) -> Vec<String> {
    match what {
        What::Sip(_) => Vec::new(),
        What::State(text) | What::Media(text) => wrapped(text, NOTE_MAX),
        What::Command(text) => wrapped(&format!("asked to {text}"), NOTE_MAX),
    }
}

fn rows_of_message(message: &SipStep) -> usize {
    if description::summary(&message.bytes).is_some() { 50 } else { 36 }
}
