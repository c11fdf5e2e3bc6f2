//! Observes a world from outside: keeps its flight recorder, and has it written out when something is wrong.

use super::leaks::Patrol;
use super::{Engine, Sum};
use crate::replay::{FlightDump, FlightRecorder, FlightSummary};
use crossbeam::channel::{Receiver, Sender};
use ringworld_components::edge::Input;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Alarms that are written out at most, so that a faulty switch does not fill the disk.
const WRITTEN_MAX: usize = 8;

/// How long an alarm keeps those after it from being written out: they mostly have the same cause.
const WRITTEN_APART: Duration = Duration::from_secs(60);

/// Entities that are looked at for leaks at a time: some microseconds' worth.
const PATROL_ENTITIES: usize = 250;

/// Ticks between two looks at everything that is in the world.
const WHOLE_TICKS: u64 = 2_000;

/// Packet buffers that may hold a packet though there is no stream: from unknown sources, or by the count's error.
const BUFFERS_ASTRAY_MAX: u64 = 64;

/// How many looks in a row must find more of them than that: ten are two seconds.
const ASTRAY_LOOKS: u32 = 10;

/// How long a broken world waits for its recording to be written.
const BROKEN_PATIENCE: Duration = Duration::from_secs(30);

/// A request to have the flight recording written out.
pub(super) type Wish = Sender<FlightDump>;

/// What is kept beside a world.
pub(super) struct Watch {
    flight: Option<FlightRecorder>,
    /// Ticks lost between two looks that are an alarm; `None`: never.
    late_ticks: Option<u64>,
    lost_ticks: u64,
    /// Contained panics that were seen.
    panics: u64,
    /// The sums that did not add up at the last look.
    broken: BTreeSet<Sum>,
    /// Whether all packet buffers of the process are this world's, and how many looks in a row found some missing.
    owns_buffers: bool,
    astray: u32,
    looked_at: u64,
    patrol: Patrol,
    written: usize,
    last: Option<Instant>,
    /// The kinds of alarms that there were: the text before the colon.
    kinds: BTreeSet<String>,
    /// Recordings on their way, with the text to report for each and the channel that waits for it.
    pending: Vec<(String, Receiver<FlightDump>, Option<Wish>)>,
    /// What was found wrong, in words.
    alarms: Vec<String>,
}

impl Watch {
    /// `owns_buffers`: there is no other world in the process.
    pub fn new(flight: Option<FlightRecorder>, late_ms: u32, owns_buffers: bool) -> Self {
        let late_ticks = (late_ms > 0).then(|| u64::from(late_ms).div_ceil(5));
        Self {
            flight,
            late_ticks,
            lost_ticks: 0,
            panics: 0,
            broken: BTreeSet::new(),
            owns_buffers,
            astray: 0,
            looked_at: 0,
            patrol: Patrol::default(),
            written: 0,
            last: None,
            kinds: BTreeSet::new(),
            pending: Vec::new(),
            alarms: Vec::new(),
        }
    }

    pub fn inputs(&mut self, elapsed: u32, inputs: &[Input]) {
        if let Some(flight) = &mut self.flight {
            flight.inputs(elapsed, inputs);
        }
    }

    pub fn end_of_tick(&mut self, engine: &Engine) {
        if let Some(flight) = &mut self.flight {
            flight.end_of_tick(engine);
        }
    }

    /// The world's follower will leave a snapshot of this moment.
    pub fn cut(&mut self, engine: &Engine) {
        if let Some(flight) = &mut self.flight {
            flight.cut(engine);
        }
    }

    /// Writes out on demand.
    pub fn serve(&mut self, engine: &Engine, wish: Wish) {
        match &mut self.flight {
            Some(flight) => {
                let told = flight.write_out(engine, "on demand");
                self.pending.push(("on demand".to_owned(), told, Some(wish)));
            }
            None => {
                let _ = wish.try_send(Err("there is no flight recorder (record.flight_seconds is 0)".to_owned()));
            }
        }
    }

    /// Looks for what must not be, some times a second. `lost_ticks` counts those that were late or skipped;
    /// `buffers_in_use` are packet buffers of the process that hold a packet.
    pub fn look(&mut self, engine: &Engine, lost_ticks: u64, buffers_in_use: u64) {
        let lost = lost_ticks - std::mem::replace(&mut self.lost_ticks, lost_ticks);
        if self.late_ticks.is_some_and(|most| lost >= most) {
            self.alarm(engine, format!("ticks late: {} ms were lost", lost * 5));
        }
        let panics = &engine.counters().panics;
        let count = panics.values().sum();
        if count > std::mem::replace(&mut self.panics, count) {
            let systems = panics.keys().cloned().collect::<Vec<_>>().join(", ");
            self.alarm(engine, format!("contained panic: {count} so far, in {systems}"));
        }
        self.add_up(engine);
        let is_quiet = engine.census().streams == 0 && self.owns_buffers;
        self.astray = if is_quiet && buffers_in_use > BUFFERS_ASTRAY_MAX { self.astray + 1 } else { 0 };
        if self.astray == ASTRAY_LOOKS {
            self.alarm(
                engine,
                format!("buffers astray: {buffers_in_use} packets are under way, and there is no stream"),
            );
        }
        if engine.now().0 >= self.looked_at + WHOLE_TICKS {
            self.looked_at = engine.now().0;
            if let Some(first) = engine.unregistered().first() {
                self.alarm(engine, format!("not registered or not empty: {first:?}"));
            }
        }
        if let Some(leak) = self.patrol.look(engine, PATROL_ENTITIES) {
            self.alarm(engine, format!("leaked: {leak}"));
        }
        if let Some(finding) = self.flight.as_ref().and_then(FlightRecorder::take_finding) {
            self.note(finding);
        }
        self.collect();
    }

    /// What does not add up is an alarm once, until it does again.
    fn add_up(&mut self, engine: &Engine) {
        for sum in Sum::ALL {
            match sum.check(engine) {
                None => {
                    self.broken.remove(&sum);
                }
                Some(imbalance) => {
                    if self.broken.insert(sum) {
                        self.alarm(engine, imbalance.to_string());
                    }
                }
            }
        }
    }

    /// The world broke in a tick: writes out, and waits for it.
    pub fn broken(&mut self, engine: &Engine, message: &str) -> String {
        let reason = format!("panic: {message}");
        if let Some(flight) = &mut self.flight {
            let told = flight.write_out_broken(engine, &reason);
            let dump = told.recv_timeout(BROKEN_PATIENCE);
            let dump = dump.unwrap_or_else(|_| Err("the flight recording took too long to write".to_owned()));
            self.note(in_words(&reason, &dump));
        } else {
            self.note(reason);
        }
        self.collect();
        self.alarms.last().cloned().unwrap_or_default()
    }

    /// The state of the flight recorder.
    pub fn flight(&self, engine: &Engine) -> Option<FlightSummary> {
        self.flight.as_ref().map(|flight| flight.summary(engine))
    }

    /// What was found wrong.
    pub fn alarms(&self) -> &[String] {
        &self.alarms
    }

    /// Reports it and writes out. If that was done just now, for any reason, only an alarm of a new kind is reported.
    fn alarm(&mut self, engine: &Engine, reason: String) {
        let kind = reason.split(':').next().unwrap_or_default().to_owned();
        let (is_new, is_due) = (
            self.kinds.insert(kind),
            self.last.is_none_or(|last| last.elapsed() >= WRITTEN_APART) && self.written < WRITTEN_MAX,
        );
        if !is_due {
            if is_new {
                self.note(reason);
            }
            return;
        }
        (self.last, self.written) = (Some(Instant::now()), self.written + 1);
        match &mut self.flight {
            Some(flight) => {
                let told = flight.write_out(engine, &reason);
                self.pending.push((reason, told, None));
            }
            None => self.note(reason),
        }
    }

    /// Takes what has been written in the meantime.
    fn collect(&mut self) {
        let mut done = Vec::new();
        self.pending.retain(|(reason, told, wish)| match told.try_recv() {
            Ok(dump) => {
                done.push((reason.clone(), dump, wish.clone()));
                false
            }
            Err(error) => !error.is_disconnected(),
        });
        for (reason, dump, wish) in done {
            match wish {
                Some(wish) => {
                    let _ = wish.try_send(dump);
                }
                None => self.note(in_words(&reason, &dump)),
            }
        }
    }

    fn note(&mut self, text: String) {
        tracing::warn!("{text}");
        self.alarms.push(text);
    }
}

fn in_words(reason: &str, dump: &FlightDump) -> String {
    match dump {
        Ok(path) => format!("{reason}; the flight recording is in {}", path.display()),
        Err(error) => format!("{reason}; {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::WorldConfig;
    use crate::replay::{FlightSettings, Player};
    use std::path::PathBuf;
    use std::sync::Arc;

    fn folder(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("ringworld-watch-{name}-{}", std::process::id()))
    }

    fn watched(name: &str) -> (Engine, Watch) {
        let world = WorldConfig::default();
        let engine = Engine::new(&world);
        let record = crate::config::RecordSettings { flight_dir: folder(name), ..Default::default() };
        let settings = FlightSettings::of(&record).unwrap();
        let flight = FlightRecorder::start(&engine, &world, &settings, Arc::new(|_| {})).unwrap();
        (engine, Watch::new(Some(flight), 1_000, true))
    }

    fn live(engine: &mut Engine, watch: &mut Watch, ticks: u64) {
        for _ in 0..ticks {
            watch.inputs(1, &[]);
            engine.tick(1, Vec::new());
            watch.end_of_tick(engine);
        }
    }

    fn wait_for_alarm(engine: &Engine, watch: &mut Watch, lost_ticks: u64) {
        let deadline = Instant::now() + BROKEN_PATIENCE;
        while watch.alarms().is_empty() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
            watch.look(engine, lost_ticks, 0);
        }
    }

    #[test]
    fn ticks_that_are_much_too_late_are_an_alarm_that_is_written_out_once() {
        let (mut engine, mut watch) = watched("late");
        live(&mut engine, &mut watch, 100);
        watch.look(&engine, 199, 0);
        live(&mut engine, &mut watch, 40);
        watch.look(&engine, 199 + 200, 0);
        watch.look(&engine, 199 + 400, 0);
        wait_for_alarm(&engine, &mut watch, 599);
        let [alarm] = watch.alarms() else { panic!("{:?}", watch.alarms()) };
        assert!(alarm.starts_with("ticks late: 1000 ms were lost; the flight recording is in "), "{alarm}");
        let mut player = Player::open(alarm.rsplit(" in ").next().unwrap().as_ref()).unwrap();
        assert!(!player.run_to(u64::MAX).unwrap());
        assert_eq!(player.tick(), 140);
        assert_eq!(std::fs::read_dir(folder("late")).unwrap().count(), 1);
        std::fs::remove_dir_all(folder("late")).unwrap();
    }

    #[test]
    fn counts_that_do_not_add_up_are_an_alarm() {
        let (mut engine, mut watch) = watched("counts");
        live(&mut engine, &mut watch, 10);
        watch.look(&engine, 0, 0);
        assert!(watch.alarms().is_empty() && watch.pending.is_empty());
        let mut ports = engine.app_mut().world_mut().resource_mut::<ringworld_components::media::PortPool>();
        ports.offer(10_000);
        ports.take().unwrap();
        wait_for_alarm(&engine, &mut watch, 0);
        let [alarm] = watch.alarms() else { panic!("{:?}", watch.alarms()) };
        assert!(alarm.starts_with("ports do not add up: in use: 1, streams: 0; the flight"), "{alarm}");
        watch.last = None;
        watch.look(&engine, 0, 0);
        assert_eq!(watch.pending.len(), 0, "it is said once");
        std::fs::remove_dir_all(folder("counts")).unwrap();
    }

    #[test]
    fn buffers_astray_are_an_alarm_if_they_stay_so() {
        let (mut engine, mut watch) = (Engine::new(&WorldConfig::default()), Watch::new(None, 0, true));
        engine.tick(1, Vec::new());
        for in_use in [100, 100, 100, 3].into_iter().cycle().take(40) {
            watch.look(&engine, 0, in_use);
        }
        assert!(watch.alarms().is_empty());
        (0..20).for_each(|_| watch.look(&engine, 0, 100));
        assert_eq!(watch.alarms(), ["buffers astray: 100 packets are under way, and there is no stream"]);
        let mut shared = Watch::new(None, 0, false);
        (0..20).for_each(|_| shared.look(&engine, 0, 100));
        assert!(shared.alarms().is_empty(), "they may be those of another world");
    }

    #[test]
    fn a_contained_panic_is_an_alarm() {
        let (mut engine, mut watch) = watched("contained");
        live(&mut engine, &mut watch, 10);
        let mut counters = engine.app_mut().world_mut().resource_mut::<ringworld_components::call::Counters>();
        counters.panicked("carry_out_operations");
        wait_for_alarm(&engine, &mut watch, 0);
        watch.look(&engine, 0, 0);
        let [alarm] = watch.alarms() else { panic!("{:?}", watch.alarms()) };
        assert!(alarm.starts_with("contained panic: 1 so far, in carry_out_operations; the flight"), "{alarm}");
        std::fs::remove_dir_all(folder("contained")).unwrap();
    }

    #[test]
    fn without_a_flight_recorder_one_is_told_so() {
        let engine = Engine::new(&WorldConfig::default());
        let mut watch = Watch::new(None, 1_000, true);
        let (tell, told) = crossbeam::channel::bounded(1);
        watch.serve(&engine, tell);
        assert!(told.recv().unwrap().unwrap_err().contains("record.flight_seconds"));
        watch.look(&engine, 200, 0);
        assert_eq!(watch.alarms(), ["ticks late: 1000 ms were lost"]);
    }
}
