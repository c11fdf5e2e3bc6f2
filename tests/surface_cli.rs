//! The `ringworld` command as a process: exit codes, sentences, signals and summaries.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ringworld::load::{self, Plan, Report, Service};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

fn ringworld(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ringworld")).args(arguments).output().expect("the command starts")
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A folder of its own, gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ringworld-cli-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running switch.
struct Running {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    greeting: Vec<String>,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringworld"));
        let mut child = command.arg("run").args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut greeting = Vec::new();
        for line in lines.by_ref() {
            let line = line.unwrap();
            let is_last = line == "ready";
            greeting.push(line);
            if is_last {
                break;
            }
        }
        Self { child, lines, greeting }
    }

    fn udp(&self) -> SocketAddr {
        let address = self.greeting.iter().find_map(|line| line.strip_prefix("SIP over UDP on "));
        address.expect("an address in the greeting").parse().unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// The exit code and what was printed after the greeting.
    fn end(mut self) -> (Option<i32>, String) {
        let rest: Vec<String> = self.lines.by_ref().map_while(Result::ok).collect();
        (self.child.wait().unwrap().code(), rest.join("\n"))
    }
}

fn callers(address: SocketAddr, service: Service, hold: Duration) -> Report {
    let mut plan = Plan::new(address).with(service);
    plan.hold = hold;
    load::run(&plan, |_| ()).unwrap()
}

#[test]
fn the_printed_configuration_is_one_to_start_from() {
    let folder = Folder::new("config");
    let printed = ringworld(&["config"]);
    assert_eq!(code(&printed), 0);
    let file = folder.file("default.toml");
    std::fs::write(&file, &printed.stdout).unwrap();
    let checked = ringworld(&["config", "--check", &file]);
    assert_eq!(code(&checked), 0, "{}", complaint(&checked));
}

#[test]
fn a_wrong_configuration_is_a_usage_error_that_says_where_and_what() {
    let folder = Folder::new("wrong");
    let file = folder.file("wrong.toml");
    for (text, parts) in [
        ("[network]\nrtp_prots = \"1-2\"\n", ["wrong.toml:2", "rtp_prots", "rtp_ports"]),
        ("[network]\nworlds = 0\n", ["wrong.toml:2", "network.worlds", "1 to 255"]),
        ("[record]\nmedia = \"loud\"\n", ["wrong.toml:2", "record.media", "headers"]),
    ] {
        std::fs::write(&file, text).unwrap();
        let output = ringworld(&["run", "--config", &file]);
        let complaint = complaint(&output);
        assert_eq!(code(&output), 2, "{complaint}");
        assert!(parts.iter().all(|part| complaint.contains(part)), "{complaint}");
    }
    let output = ringworld(&["run", "--config", &folder.file("missing.toml")]);
    assert_eq!(code(&output), 2);
    assert!(complaint(&output).contains("ringworld config"), "{}", complaint(&output));
}

#[test]
fn wrong_arguments_are_usage_errors_that_say_what_is_allowed() {
    for (arguments, part) in [
        (&["run", "--sip", "sctp:127.0.0.1:5060"][..], "udp:ADDRESS:PORT"),
        (&["run", "--rtp-ports", "9"], "FIRST-LAST"),
        (&["run", "--record-media", "loud"], "headers"),
        (&["run", "--worlds", "0"], "1 to 255"),
        (&["call"], "URI"),
        (&["demo", "--calls", "0"], "1..=5000"),
        (&["dance"], "unrecognized"),
    ] {
        let output = ringworld(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}");
        assert!(complaint(&output).contains(part), "{arguments:?}: {}", complaint(&output));
    }
}

#[test]
fn an_address_in_use_is_a_failure_that_names_it() {
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let listen = format!("udp:{}", taken.local_addr().unwrap());
    let output = ringworld(&["run", "--sip", &listen, "--rtp-ports", "23000-23039"]);
    assert_eq!(code(&output), 1);
    assert!(complaint(&output).contains(&taken.local_addr().unwrap().to_string()), "{}", complaint(&output));
}

#[test]
fn the_greeting_says_where_it_listens_and_what_there_is() {
    let running =
        Running::start(&["--sip", "udp:127.0.0.1:0", "--sip", "tcp:127.0.0.1:0", "--rtp-ports", "23040-23079"]);
    let greeting = running.greeting.join("\n");
    for part in
        ["SIP over UDP on 127.0.0.1:", "SIP over TCP on 127.0.0.1:", "23040-23079", "echo", "conf-NAME", "reject-NNN"]
    {
        assert!(greeting.contains(part), "{part}: {greeting}");
    }
    running.signal(Signal::SIGINT);
    assert_eq!(running.end().0, Some(0));
}

#[test]
fn services_answer_as_they_are_named() {
    let running = Running::start(&["--sip", "udp:127.0.0.1:0", "--rtp-ports", "23080-23119"]);
    let target = running.udp();
    for (user, outcome) in [
        ("echo", "completed"),
        ("tone", "completed"),
        ("silence", "completed"),
        ("conf-lobby", "completed"),
        ("ring-1", "completed"),
        ("whoever", "completed"),
        ("busy", "486 Busy Here"),
        ("reject-603", "603 Decline"),
    ] {
        let report = callers(target, Service::signalling(user, 1), Duration::ZERO);
        assert_eq!(report.calls_by_outcome.get(outcome), Some(&1), "{user}: {report:#?}");
    }
    running.signal(Signal::SIGTERM);
    let (code, text) = running.end();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("calls in / placed / answered"), "{text}");
}

#[test]
fn a_signal_ends_calls_with_bye_and_the_summary_is_back_at_its_start() {
    let folder = Folder::new("drain");
    let summary = folder.file("summary.json");
    let running = Running::start(&[
        "--sip",
        "udp:127.0.0.1:0",
        "--rtp-ports",
        "23120-23199",
        "--worlds",
        "2",
        "--summary",
        &summary,
    ]);
    let target = running.udp();
    let (tell, told) = std::sync::mpsc::channel();
    let talking = std::thread::spawn(move || {
        let mut plan = Plan::new(target).with(Service::echo(8));
        plan.hold = Duration::from_secs(60);
        load::run(&plan, |progress| {
            // Nobody listens any more once all talk.
            let _ = tell.send((progress.connected, progress.packets_received));
        })
        .unwrap()
    });
    let all_talk = |(connected, packets): (u64, u64)| connected == 8 && packets > 100;
    assert!(told.iter().any(all_talk), "the calls never came to stand");
    // The world's peak is looked at five times a second.
    std::thread::sleep(Duration::from_millis(500));
    running.signal(Signal::SIGTERM);
    let (code, text) = running.end();
    assert_eq!(code, Some(0), "{text}");
    drop(told);
    let report = talking.join().unwrap();
    assert_eq!(report.calls_by_outcome.get("hung up by the other side"), Some(&8), "{report:#?}");

    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&summary).unwrap()).unwrap();
    assert_eq!(json["signalling"]["outcomes"]["drained"], 8, "{json:#}");
    assert_eq!(json["peak"]["sessions"], 8);
    for what in ["sessions", "dialogs", "streams", "rooms", "ports"] {
        assert_eq!(json["end"][what], json["start"][what], "{what}");
    }
    assert!(json["tick_time"]["p99_us"].is_number() && json["network"]["rtp_in"].as_u64() > Some(0), "{json:#}");
}

#[test]
fn a_second_signal_stops_at_once() {
    let running = Running::start(&["--sip", "udp:127.0.0.1:0", "--rtp-ports", "23200-23239"]);
    // A caller that has gone without a word: its BYE is never answered, and draining would wait for it.
    let gone = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let here = gone.local_addr().unwrap();
    let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9000 RTP/AVP 0\r\n";
    let invite = format!(
        "INVITE sip:echo@{0} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK-gone\r\nMax-Forwards: 70\r\n\
         From: <sip:gone@{here}>;tag=g\r\nTo: <sip:echo@{0}>\r\nCall-ID: gone\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:gone@{here}>\r\nContent-Type: application/sdp\r\nContent-Length: {1}\r\n\r\n{sdp}",
        running.udp(),
        sdp.len()
    );
    gone.send_to(invite.as_bytes(), running.udp()).unwrap();
    gone.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut answer = [0; 2000];
    let length = gone.recv(&mut answer).expect("an answer");
    assert!(answer.starts_with(b"SIP/2.0 200"), "{}", String::from_utf8_lossy(&answer[..length]));
    running.signal(Signal::SIGTERM);
    std::thread::sleep(Duration::from_millis(500));
    running.signal(Signal::SIGTERM);
    let (code, text) = running.end();
    assert_eq!(code, Some(0), "{text}");
    let sessions = text.lines().find(|line| line.starts_with("sessions")).unwrap();
    assert!(sessions.split_whitespace().eq(["sessions", "0", "1", "1"]), "it did not wait: {text}");
}

#[test]
fn a_summary_that_can_not_be_written_is_a_failure() {
    let running =
        Running::start(&["--sip", "udp:127.0.0.1:0", "--rtp-ports", "23240-23279", "--summary", "/no/such/folder/s"]);
    running.signal(Signal::SIGINT);
    assert_eq!(running.end().0, Some(1));
}

#[test]
fn a_call_from_the_terminal_says_what_came_of_it() {
    let folder = Folder::new("call");
    let running =
        Running::start(&["--sip", "udp:127.0.0.1:0", "--sip", "tcp:127.0.0.1:0", "--rtp-ports", "23280-23319"]);
    let switch = running.udp();
    let call =
        |user: &str, arguments: &[&str]| ringworld(&[&["call", &format!("sip:{user}@{switch}")], arguments].concat());

    let wav = folder.file("heard.wav");
    let heard = call("echo", &["--seconds", "3", "--tone", "600", "--expect-tone", "600", "--hear", &wav]);
    assert_eq!(code(&heard), 0, "{}", complaint(&heard));
    let samples = hound::WavReader::open(&wav).unwrap().duration();
    assert!(samples > 8_000, "{samples} samples");

    let wrong = call("tone", &["--seconds", "3", "--expect-tone", "600"]);
    assert_eq!(code(&wrong), 1);
    assert!(complaint(&wrong).contains("440 Hz was heard"), "{}", complaint(&wrong));
    let busy = call("busy", &[]);
    assert_eq!(code(&busy), 1);
    assert!(complaint(&busy).contains("486 Busy Here"), "{}", complaint(&busy));
    let digit = call("echo", &["--dtmf", "1z"]);
    assert_eq!(code(&digit), 2, "{}", complaint(&digit));

    let tcp = running.greeting.iter().find_map(|line| line.strip_prefix("SIP over TCP on ")).unwrap();
    let over_tcp =
        ringworld(&["call", &format!("sip:tone@{tcp};transport=tcp"), "--seconds", "2", "--expect-tone", "440"]);
    assert_eq!(code(&over_tcp), 0, "{}", complaint(&over_tcp));
    running.signal(Signal::SIGTERM);
    assert_eq!(running.end().0, Some(0));

    let nobody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let closed = ringworld(&["call", &format!("sip:echo@{nobody}")]);
    assert_eq!(code(&closed), 1);
    assert!(complaint(&closed).contains("port closed"), "{}", complaint(&closed));
}

#[test]
fn the_demonstration_shows_that_all_is_right() {
    let output = ringworld(&["demo", "--calls", "24", "--seconds", "4"]);
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(code(&output), 0, "{told}\n{}", complaint(&output));
    for part in ["24 of 24 answered", "14 of 14 heard themselves", "10 of 10 heard all the others", "all digests agree"]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
}
