//! `ringworld demo`: the first command for a new user.

use super::process::{code, complaint, ringworld};

#[test]
fn the_demonstration_shows_that_all_is_right() {
    let output = ringworld(&["demo", "--calls", "24", "--seconds", "4"]);
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(code(&output), 0, "{told}\n{}", complaint(&output));
    for part in ["24 of 24 answered", "14 of 14 heard themselves", "10 of 10 heard all the others", "all digests agree"]
    {
        assert!(told.contains(part), "{part}: {told}");
    }
    for (name, parts) in [
        ("calls", &["24 of 24"][..]),
        ("set-up time", &["p50 ", "p99 ", " ms"]),
        ("packets", &[" sent, ", " received, ", " lost"]),
        ("tick", &["p50 ", "p99 ", " us"]),
        ("memory", &[" kB a call"]),
        ("replay", &[" times real time"]),
    ] {
        let row = told.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {told}"));
        assert!(parts.iter().all(|part| row.contains(part)), "{row}");
    }
}

#[test]
fn a_demonstration_that_can_not_record_fails_and_says_so() {
    let output = ringworld(&["demo", "--calls", "1", "--seconds", "3", "--record", "/no/such/folder/demo.rwlog"]);
    assert_eq!(code(&output), 1);
    assert!(complaint(&output).contains("/no/such/folder/demo.rwlog"), "{}", complaint(&output));
}
