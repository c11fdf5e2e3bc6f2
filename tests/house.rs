//! The rules of the house that a compiler does not check: who imports whom, and what is never named where.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(under: &str) -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).expect("a folder of the repository") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source file");
                found.push((path, text));
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(under), &mut found);
    assert!(!found.is_empty(), "no sources under {under}");
    found
}

/// The lines of code that name `what`.
fn naming<'a>(text: &'a str, what: &'a str) -> impl Iterator<Item = &'a str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).filter(move |line| line.contains(what))
}

fn assert_never(under: &str, forbidden: &[&str]) {
    for (path, text) in sources(under) {
        for what in forbidden {
            if let Some(line) = naming(&text, what).next() {
                panic!("{} must not name {what:?}: {line}", path.display());
            }
        }
    }
}

#[test]
fn the_folders_of_components_import_in_one_direction() {
    let every = ["audio", "call", "edge", "kernel", "media", "record", "wire"];
    let allowed: [(&str, &[&str]); 7] = [
        ("record", &[]),
        ("kernel", &["record"]),
        ("wire", &["record"]),
        ("audio", &["record"]),
        ("edge", &["record", "kernel", "wire", "call"]),
        ("call", &["record", "kernel", "wire", "edge"]),
        ("media", &["record", "kernel", "wire", "audio", "edge", "call"]),
    ];
    for (folder, may) in allowed {
        let forbidden: Vec<String> = every
            .iter()
            .filter(|other| **other != folder && !may.contains(other))
            .map(|other| format!("crate::{other}"))
            .collect();
        let forbidden: Vec<&str> = forbidden.iter().map(String::as_str).collect();
        assert_never(&format!("components/src/{folder}"), &forbidden);
    }
}

#[test]
fn the_folders_of_systems_do_not_import_each_other() {
    let folders = ["callengine", "conference", "edge", "session", "signalling", "streams"];
    for folder in folders {
        let forbidden: Vec<String> =
            folders.iter().filter(|other| **other != folder).map(|other| format!("crate::{other}")).collect();
        let forbidden: Vec<&str> = forbidden.iter().map(String::as_str).collect();
        assert_never(&format!("systems/src/{folder}"), &forbidden);
    }
}

#[test]
fn the_world_reaches_for_nothing_outside() {
    let outside = [
        "std::net::UdpSocket",
        "std::net::Tcp",
        "std::thread",
        "std::fs",
        "std::env",
        "Instant::now",
        "SystemTime",
        "getrandom",
        "HashMap<",
        "HashSet<",
        " static mut ",
        "thread_local!",
        "OnceLock",
        "tokio::",
    ];
    for (path, text) in sources("components/src").into_iter().chain(sources("systems/src")) {
        // The table wraps the hash map, so that its order can't leak; planted faults are there to be found.
        if path.ends_with("kernel/table.rs") || path.ends_with("src/planted.rs") {
            continue;
        }
        for what in outside {
            if let Some(line) = naming(&text, what).next() {
                panic!("{} must not name {what:?}: {line}", path.display());
            }
        }
    }
}

#[test]
fn simulated_agents_share_nothing_with_the_switch() {
    let switch = ["ringworld_components", "ringworld_systems", "crate::engine", "crate::net", "crate::replay", "bevy"];
    assert_never("src/sim/agent", &switch);
    // What carries and judges them may look at the world, but takes nothing from its logic.
    assert_never("src/sim", &["ringworld_systems", "crate::net"]);
}

#[test]
fn recorded_logic_has_no_hidden_state() {
    assert_never("systems/src", &["Local<", "Changed<", "Added<", "Observer", "add_observer", ": f32", ": f64"]);
}

#[test]
fn sipx_stays_behind_the_wire() {
    for (path, text) in sources("components/src").into_iter().chain(sources("systems/src")).chain(sources("src")) {
        let behind = path.components().any(|part| part.as_os_str() == "wire");
        if let Some(line) = naming(&text, "sipx_").next().filter(|_| !behind) {
            panic!("{} must not name sipx: {line}", path.display());
        }
    }
}

#[test]
fn the_documented_states_are_those_of_the_matrix() {
    use ringworld::components::call::{SessionOperation, diagram};
    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/session-states.md")).expect("the page");
    assert!(page.contains(&diagram()), "docs/session-states.md is out of date:\n{}", diagram());
    for operation in SessionOperation::ALL {
        let states: Vec<String> = operation.legal_in().iter().map(ToString::to_string).collect();
        let row = format!("| {operation} | {} |", states.join(", "));
        assert!(page.contains(&row), "docs/session-states.md lacks {row}");
    }
}
