use super::*;
use std::net::UdpSocket;

#[test]
fn lock_and_sockets_change_hands_and_stay_what_they_were() {
    let path = std::env::temp_dir().join(format!("ringworld-handover-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    let folder = StateFolder::take(&path).unwrap();
    let door = Door::open(&folder).unwrap();
    door.listener.set_nonblocking(false).unwrap();
    let own = || UdpSocket::bind("127.0.0.1:0").unwrap();
    let sip = own();
    let address = sip.local_addr().unwrap();
    // More than fit into one message.
    let pairs = (0..300).map(|half| RtpPair { port: half * 2, rtp: own().into(), rtcp: own().into() });
    let sockets = Sockets {
        sip: vec![SipSocket { transport: Transport::Udp, address, socket: sip.into() }],
        rtp: pairs.collect(),
    };
    let rtp: Vec<_> = sockets.rtp.iter().map(|pair| UdpSocket::from(pair.rtp.try_clone().unwrap())).collect();
    let asking = path.clone();
    let other = std::thread::spawn(move || {
        let (folder, sockets, verdict) = Legacy::ask(&asking).unwrap().split();
        verdict.ready().unwrap();
        (folder, sockets)
    });
    let successor = Successor::greet(door.knock().unwrap()).unwrap();
    assert_eq!(successor.build, build_id());
    assert_eq!(successor.give(&folder, &sockets), Ok(std::process::id()));
    successor.let_go().unwrap();
    drop((sockets, folder));
    let (taken, sockets) = other.join().unwrap();
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
    let Word::Refused { why } = hear(&ours).unwrap() else { panic!("a refusal") };
    assert_eq!(why, "no room");
    drop(verdict);
    assert!(hear(&ours).is_err(), "and who is gone says nothing");
}
