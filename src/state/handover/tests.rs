use super::words::{MESSAGE_BYTES_MAX, framed};
use super::*;
use crate::net::{Held, Outgoing, TcpConnection, Untaken};
use bytes::Bytes;
use ringworld_components::edge::{ConnId, Flow, SendFailure};
use ringworld_components::kernel::StableId;
use std::io::Read;
use std::net::{TcpListener, TcpStream, UdpSocket};

/// A folder, its socket, and the stream of a process that connects there.
struct Scene {
    path: PathBuf,
    folder: StateFolder,
    door: Door,
}

impl Scene {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ringworld-handover-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        let folder = StateFolder::take(&path).unwrap();
        let door = Door::open(&folder).unwrap();
        door.listener.set_nonblocking(false).unwrap();
        Self { path, folder, door }
    }

    /// A successor asks for everything, on a thread of its own.
    fn ask(&self) -> std::thread::JoinHandle<Result<(StateFolder, Sockets, Verdict), StateError>> {
        let path = self.path.clone();
        std::thread::spawn(move || Legacy::ask(&path).map(Legacy::split))
    }

    fn greet(&self) -> Successor {
        Successor::greet(self.door.knock().unwrap()).unwrap()
    }

    fn leave(self) {
        self.door.close();
        std::fs::remove_dir_all(self.path).unwrap();
    }
}

fn flow(number: u64) -> Flow {
    let address = |host: u8| SocketAddr::from(([192, 0, 2, host], 5060));
    Flow { transport: Transport::Tcp, local: address(1), remote: address(2), conn: ConnId(number) }
}

fn outgoing(text: &'static str, transaction: u64) -> Outgoing {
    Outgoing {
        bytes: Bytes::from_static(text.as_bytes()),
        transaction: StableId(transaction),
        or_udp: transaction == 4,
    }
}

/// A connection to `peer`'s listener, with that number.
fn connection(listener: &TcpListener, number: u64, held: Held) -> (TcpConnection, TcpStream) {
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let socket = listener.accept().unwrap().0.into();
    (TcpConnection { flow: flow(number), socket, held }, peer)
}

#[test]
fn lock_and_sockets_change_hands_and_stay_what_they_were() {
    let scene = Scene::new("sockets");
    let own = || UdpSocket::bind("127.0.0.1:0").unwrap();
    let sip = own();
    let address = sip.local_addr().unwrap();
    // More than fit into one message.
    let pairs = (0..300).map(|half| RtpPair { port: half * 2, rtp: own().into(), rtcp: own().into() });
    let sockets = Sockets {
        sip: vec![SipSocket { transport: Transport::Udp, address, socket: sip.into() }],
        rtp: pairs.collect(),
        ..Sockets::default()
    };
    let rtp: Vec<_> = sockets.rtp.iter().map(|pair| UdpSocket::from(pair.rtp.try_clone().unwrap())).collect();
    let other = scene.ask();
    let successor = scene.greet();
    assert_eq!(successor.build, build_id());
    let answer = std::thread::spawn(move || {
        let (folder, sockets, verdict) = other.join().unwrap().unwrap();
        verdict.ready().unwrap();
        (folder, sockets)
    });
    let process = std::process::id();
    assert_eq!(successor.give(&scene.folder, &sockets), Ok(Heir { process, left_behind: 0 }));
    successor.let_go().unwrap();
    let Scene { path, folder, door } = scene;
    drop((sockets, folder));
    let (taken, sockets) = answer.join().unwrap();
    assert!(matches!(StateFolder::take(&path), Err(StateError::Locked { .. })), "the lock was handed over");
    assert_eq!(sockets.sip[0].address, address);
    for (pair, before) in sockets.rtp.iter().zip(&rtp) {
        let now = UdpSocket::from(pair.rtp.try_clone().unwrap());
        assert_eq!(now.local_addr().unwrap(), before.local_addr().unwrap());
    }
    drop(taken);
    StateFolder::take(&path).unwrap();
    door.close();
    std::fs::remove_dir_all(path).unwrap();
}

#[test]
fn who_refuses_says_why() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let verdict = Verdict { stream: theirs };
    verdict.refuse("no room".to_owned());
    let Word::Refused { why } = hear::<Word>(&ours).unwrap() else { panic!("a refusal") };
    assert_eq!(why, "no room");
    drop(verdict);
    assert!(hear::<Word>(&ours).is_err(), "a side that has closed the socket sends nothing");
}

#[test]
fn connections_change_hands_with_all_that_they_hold() {
    let scene = Scene::new("connections");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let held = |number: u64| Held {
        dialled: number.is_multiple_of(2),
        announced: number.is_multiple_of(3),
        unread: Bytes::from(format!("INVITE sip:{number}@")),
        unsent: vec![outgoing("200 OK", number), outgoing("", 0), outgoing("OPTIONS", 4)],
    };
    // More than fit into one message.
    let (tcp, mut peers): (Vec<_>, Vec<_>) =
        (1..=500).map(|number| connection(&listener, number, held(number))).unzip();
    let remote = "192.0.2.9:5060".parse().unwrap();
    let untaken = || {
        vec![
            Untaken::Sip(flow(7), Bytes::from_static(b"BYE sip:a SIP/2.0\r\n\r\n")),
            Untaken::Opened(1, flow(8)),
            Untaken::Closed(2, ConnId(9)),
            Untaken::Failed(StableId(10), SendFailure::Full),
        ]
    };
    let sockets = Sockets {
        tcp,
        unsent: vec![(remote, outgoing("OPTIONS", 4)), (remote, outgoing("BYE", 5))],
        untaken: untaken(),
        ..Sockets::default()
    };
    let other = scene.ask();
    let giving = std::thread::scope(|scope| {
        let giving = scope.spawn(|| scene.greet().give(&scene.folder, &sockets));
        let (_, taken, verdict) = other.join().unwrap().unwrap();
        verdict.refuse("just looking".to_owned());
        assert_eq!(taken.unsent, [(remote, outgoing("OPTIONS", 4)), (remote, outgoing("BYE", 5))]);
        assert_eq!(taken.untaken, untaken());
        assert_eq!(taken.tcp.len(), 500);
        for ((connection, number), peer) in taken.tcp.into_iter().zip(1..).zip(&mut peers) {
            assert_eq!((connection.flow, connection.held), (flow(number), held(number)));
            peer.write_all(&number.to_le_bytes()).unwrap();
            let mut bytes = [0; 8];
            TcpStream::from(connection.socket).read_exact(&mut bytes).unwrap();
            assert_eq!(u64::from_le_bytes(bytes), number, "the descriptor of another connection");
        }
        giving.join().unwrap()
    });
    assert_eq!(giving, Err("just looking".to_owned()));
    scene.leave();
}

#[test]
fn a_connection_that_holds_too_much_stays_behind_and_is_counted() {
    let scene = Scene::new("too-much");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let large = Held { unread: vec![b'x'; MESSAGE_BYTES_MAX + 1].into(), ..Held::default() };
    let whole = Held { unread: vec![b'x'; MESSAGE_BYTES_MAX].into(), ..Held::default() };
    let many = Held { unsent: vec![outgoing("", 1); 100_000], ..Held::default() };
    let mut sockets = Sockets::default();
    let mut peers = Vec::new();
    for (held, number) in [large, whole, many, Held::default()].into_iter().zip(1..) {
        let (connection, peer) = connection(&listener, number, held);
        sockets.tcp.push(connection);
        peers.push(peer);
    }
    let other = scene.ask();
    let successor = scene.greet();
    let answer = std::thread::spawn(move || {
        let (_, sockets, verdict) = other.join().unwrap().unwrap();
        verdict.ready().unwrap();
        sockets.tcp.iter().map(|connection| (connection.flow.conn.0, connection.held.unread.len())).collect::<Vec<_>>()
    });
    let heir = successor.give(&scene.folder, &sockets).unwrap();
    assert_eq!(heir.left_behind, 2);
    successor.let_go().unwrap();
    assert_eq!(answer.join().unwrap(), [(2, MESSAGE_BYTES_MAX), (4, 0)]);
    scene.leave();
}

#[test]
fn who_speaks_another_version_is_told_so() {
    let scene = Scene::new("version");
    // A build without versions.
    let stream = UnixStream::connect(scene.path.join(DOOR)).unwrap();
    let hello = serde_json::json!({ "Hello": { "build": "0.0.9+old" } });
    (&stream).write_all(&framed(&hello).unwrap()).unwrap();
    let error = Successor::greet(scene.door.knock().unwrap()).unwrap_err().to_string();
    assert!(error.contains("0.0.9+old hands over by version 1 and this build by version 2"), "{error}");
    let Word::Refused { why } = hear::<Word>(&stream).unwrap() else { panic!("a refusal") };
    assert_eq!(why, error);

    // A running switch, first of an older version, then of a newer one.
    for (here, version) in [
        (serde_json::json!({ "Here": { "sip": [], "rtp": [] } }), 1),
        (serde_json::json!({ "Here": { "version": 3, "sip": [], "rtp": [], "rooms": [1] } }), 3),
    ] {
        let (error, heard) = answered_with(&scene, &framed(&here).unwrap(), &[]);
        let expected = format!("the running switch hands over by version {version} and this build by version 2");
        assert!(error.contains(&expected) && error.contains("without --take-over"), "{error}");
        assert!(heard.contains(&expected), "the running switch is told: {heard}");
    }
    scene.leave();
}

/// What the successor reports if it is answered with these bytes and the descriptors of these files, and what the
/// answering side reads.
fn answered_with(scene: &Scene, bytes: &[u8], files: &[std::fs::File]) -> (String, String) {
    let other = scene.ask();
    let stream = scene.door.knock().unwrap();
    let Word::Hello { .. } = hear::<Word>(&stream).unwrap() else { panic!("a greeting") };
    let (here, parcels) = bytes.split_at(4 + u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize);
    (&stream).write_all(here).unwrap();
    if !files.is_empty() {
        give(&stream, &files.iter().map(|file| file.as_fd()).collect::<Vec<_>>()).unwrap();
    }
    (&stream).write_all(parcels).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let error = other.join().unwrap().map(drop).unwrap_err();
    match hear::<Word>(&stream) {
        Ok(Word::Refused { why }) => (error.to_string(), why),
        heard => panic!("{heard:?}; {error}"),
    }
}

#[test]
fn damaged_words_are_refused_by_name_and_neither_side_waits() {
    let scene = Scene::new("damaged");
    let files = |count: usize| -> Vec<_> { (0..count).map(|_| std::fs::File::open("/dev/null").unwrap()).collect() };
    let here = |connections: usize, parcels: usize| {
        let version = VERSION;
        framed(&Word::Here { version, sip: Vec::new(), rtp: Vec::new(), connections, parcels }).unwrap()
    };
    let way = |number: u64| serde_json::json!({ "transport": "Tcp", "local": "192.0.2.1:5060", "remote": "192.0.2.2:5060", "connection": number });
    let parcel = |number: u64, unread: u64| {
        let body = serde_json::json!({
            "way": way(number), "dialled": false, "announced": true, "unread": unread, "unsent": []
        });
        framed(&serde_json::json!({ "Connection": body })).unwrap()
    };
    let message = |bytes: u64| serde_json::json!({ "bytes": bytes, "transaction": 1, "or_udp": false });
    let unsent = |messages: Vec<serde_json::Value>| {
        let body = serde_json::json!({
            "way": way(1), "dialled": false, "announced": true, "unread": 0, "unsent": messages
        });
        framed(&serde_json::json!({ "Connection": body })).unwrap()
    };
    let too_long = ((MESSAGE_BYTES_MAX + 1) as u32).to_le_bytes();
    let beyond = MESSAGE_BYTES_MAX as u64 + 1;
    let table = [
        ("two of a number", [here(2, 2), parcel(5, 0), parcel(5, 0)].concat(), 3, "no number of its own"),
        ("none at all", [here(1, 1), parcel(0, 0)].concat(), 2, "no number of its own"),
        ("no descriptor", [here(0, 1), parcel(5, 0)].concat(), 1, "has no descriptor"),
        ("one too many", [here(2, 1), parcel(5, 0)].concat(), 3, "has no connection"),
        ("too few bytes", [here(1, 1), parcel(5, 100), vec![b'x'; 99]].concat(), 2, "fill whole buffer"),
        ("too few parcels", [here(1, 2), parcel(5, 0)].concat(), 2, "fill whole buffer"),
        ("too many bytes", [here(1, 1), parcel(5, beyond)].concat(), 2, "a parcel is too large"),
        ("together too many", [here(1, 1), unsent(vec![message(beyond / 2); 3])].concat(), 2, "a parcel is too large"),
        ("beyond counting", [here(1, 1), unsent(vec![message(u64::MAX); 2])].concat(), 2, "a parcel is too large"),
        ("too long", [here(1, 1), too_long.to_vec()].concat(), 2, "a message is too long"),
        ("no words", [here(1, 1), 3u32.to_le_bytes().to_vec(), b"{{{".to_vec()].concat(), 2, "key must be a string"),
        ("no descriptors", here(1 << 40, 0), 1, "descriptors"),
    ];
    for (what, bytes, descriptors, expected) in table {
        let (error, heard) = answered_with(&scene, &bytes, &files(descriptors));
        assert!(error.contains(expected) && heard.contains(expected), "{what}: {error}; {heard}");
    }
    scene.leave();
}
