//! `ringworld config`, and wrong settings in a file and on the command line.

use super::process::{Folder, code, complaint, ringworld};

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
        (&["call", "sips:echo@127.0.0.1"], "UDP and TCP are spoken"),
        (&["call", "sip:echo@127.0.0.1;transport=tls"], "UDP and TCP are spoken"),
        (&["demo", "--calls", "0"], "1..=5000"),
        (&["dance"], "unrecognized"),
    ] {
        let output = ringworld(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}");
        assert!(complaint(&output).contains(part), "{arguments:?}: {}", complaint(&output));
    }
}
