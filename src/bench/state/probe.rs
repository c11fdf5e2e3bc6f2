//! Sends OPTIONS to a switch every few milliseconds and notes when it answered.

use crate::bench::BenchError;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two requests.
const PACE: Duration = Duration::from_millis(5);

/// A thread that sends OPTIONS; it ends when this is dropped.
pub(super) struct Probe {
    answers: Arc<Mutex<Vec<Instant>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Probe {
    pub fn start(target: SocketAddr) -> Result<Self, BenchError> {
        let failed = BenchError::while_doing("opening a socket to ask from");
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| {
            socket.set_read_timeout(Some(PACE))?;
            socket.connect(target).map(|()| socket)
        });
        let socket = socket.map_err(failed)?;
        let (answers, stop) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let (of_thread, told) = (Arc::clone(&answers), stop.clone());
        let thread = std::thread::spawn(move || ask(&socket, target, &of_thread, &told));
        Ok(Self { answers, stop, thread: Some(thread) })
    }

    /// The longest time without an answer that began or ended between two moments.
    pub fn longest_silence(&self, from: Instant, to: Instant) -> Duration {
        longest(&self.answers.lock().unwrap_or_else(PoisonError::into_inner), from, to)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has reported it.
            let _ = thread.join();
        }
    }
}

fn ask(socket: &UdpSocket, target: SocketAddr, answers: &Mutex<Vec<Instant>>, stop: &AtomicBool) {
    let own = socket.local_addr().map_or_else(|_| target.to_string(), |own| own.to_string());
    let mut buffer = [0; 2_048];
    let (mut number, mut next) = (0u64, Instant::now());
    while !stop.load(Ordering::Relaxed) {
        if Instant::now() >= next {
            number += 1;
            next += PACE;
            // Where no process listens the send fails, and nothing is sent.
            let _ = socket.send(options(target, &own, number).as_bytes());
        }
        // It returns after `PACE` at the latest, and at once where a port is closed.
        match socket.recv(&mut buffer) {
            Ok(length) if buffer.get(..length).is_some_and(|bytes| bytes.starts_with(b"SIP/2.0 200")) => {
                answers.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
            }
            Ok(_) => {}
            Err(_) => std::thread::sleep(next.saturating_duration_since(Instant::now())),
        }
    }
}

fn options(target: SocketAddr, own: &str, number: u64) -> String {
    format!(
        "OPTIONS sip:probe@{target} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKprobe{number}\r\nMax-Forwards: 70\r\n\
         From: <sip:probe@{own}>;tag=probe\r\nTo: <sip:probe@{target}>\r\nCall-ID: probe{number}@{own}\r\n\
         CSeq: {number} OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}

/// The longest time between two answers of which one at least lies between the moments, or between the last one and
/// `to`.
fn longest(answers: &[Instant], from: Instant, to: Instant) -> Duration {
    let first = answers.partition_point(|answer| *answer < from).saturating_sub(1);
    let inside = answers.get(first..).unwrap_or_default().iter().copied().take_while(|answer| *answer <= to);
    let times: Vec<Instant> = inside.chain([to]).collect();
    times.windows(2).filter_map(|pair| Some(*pair.get(1)? - *pair.first()?)).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_counts_from_the_answer_before_it() {
        let began = Instant::now();
        let at = |ms| began + Duration::from_millis(ms);
        let answers = [at(0), at(5), at(10), at(400), at(405), at(2_000)];
        assert_eq!(longest(&answers, at(100), at(410)), Duration::from_millis(390));
        assert_eq!(longest(&answers, at(402), at(1_000)), Duration::from_millis(595), "none until the end");
        assert_eq!(longest(&[], at(0), at(70)), Duration::ZERO, "no answer, no measurement");
    }
}
