//! The rules of the house that a compiler does not check: which folder imports which, and what is never named where.

mod paths;
mod unused;
mod words;

use paths::{absolute, named};
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

/// No file under `root`/`folder` may name one of `others`, which are folders of `root`, in whatever way it is written.
fn assert_stays_away(root: &str, folder: &str, others: &[&str]) {
    for (path, text) in sources(&format!("{root}/{folder}")) {
        let relative = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join(root)).expect("a source file");
        for name in named(&text).iter().filter_map(|name| absolute(relative, name)) {
            let reached = name.split("::").next().unwrap_or_default();
            assert!(!others.contains(&reached), "{} must not name {reached}: {name}", path.display());
        }
    }
}

#[test]
fn the_folders_of_components_import_in_one_direction() {
    let every = ["audio", "call", "edge", "kernel", "media", "record", "sip", "wire"];
    let allowed: [(&str, &[&str]); 8] = [
        ("record", &[]),
        ("kernel", &["record"]),
        ("wire", &["record", "audio"]),
        ("audio", &["record"]),
        ("edge", &["record", "kernel", "wire", "call"]),
        ("sip", &["record", "kernel", "wire", "edge", "call"]),
        ("call", &["record", "kernel", "wire", "edge", "sip"]),
        ("media", &["record", "kernel", "wire", "audio", "edge", "call"]),
    ];
    for (folder, may) in allowed {
        let others: Vec<&str> = every.into_iter().filter(|other| *other != folder && !may.contains(other)).collect();
        assert_stays_away("components/src", folder, &others);
    }
}

#[test]
fn the_folders_of_systems_do_not_import_each_other() {
    let folders = [
        "callengine",
        "conference",
        "dialogs",
        "edge",
        "facts",
        "priority",
        "registrar",
        "relations",
        "resources",
        "session",
        "streams",
        "subscriptions",
        "transactions",
    ];
    for folder in folders {
        let others: Vec<&str> = folders.into_iter().filter(|other| *other != folder).collect();
        assert_stays_away("systems/src", folder, &others);
    }
}

#[test]
fn every_folder_of_the_two_crates_is_held_to_its_place() {
    for (root, known) in [("components/src", 8), ("systems/src", 13)] {
        let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(root)).expect("the sources");
        let folders = entries.filter(|entry| entry.as_ref().is_ok_and(|entry| entry.path().is_dir())).count();
        assert_eq!(folders, known, "{root} has another number of folders: name them in the tests above");
    }
}

#[test]
fn the_simple_interface_has_no_sip_in_sight() {
    for (path, text) in sources("src/api/simple") {
        let sip = named(&text).into_iter().find(|name| name.contains("wire::"));
        assert_eq!(sip, None, "{}", path.display());
    }
}

#[test]
fn the_world_reaches_for_nothing_outside() {
    let outside = [
        "std::net::UdpSocket",
        "std::net::TcpListener",
        "std::net::TcpStream",
        "std::thread",
        "std::fs",
        "std::env",
        "std::process",
        "std::time::Instant",
        "std::time::SystemTime",
        "std::sync::OnceLock",
        "std::sync::LazyLock",
        "std::cell::OnceCell",
        "std::collections::HashMap",
        "std::collections::HashSet",
        "getrandom",
        "rand",
        "tokio",
        "crossbeam",
        "rtrb",
    ];
    let also = ["Instant::now", "SystemTime", "HashMap<", "HashSet<", " static mut ", "thread_local!"];
    for (path, text) in sources("components/src").into_iter().chain(sources("systems/src")) {
        // The table wraps the hash map and hides its order; planted faults break the rule on purpose.
        if path.ends_with("kernel/table.rs") || path.ends_with("src/planted.rs") {
            continue;
        }
        for name in named(&text) {
            let reached = outside.iter().find(|outside| {
                let rest = name.strip_prefix(**outside);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
            });
            assert_eq!(reached, None, "{}: {name}", path.display());
        }
        for what in also {
            if let Some(line) = naming(&text, what).next() {
                panic!("{} must not name {what:?}: {line}", path.display());
            }
        }
    }
}

#[test]
fn the_lists_of_clippy_hold_in_both_crates_of_the_world() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let [components, systems] = ["components", "systems"].map(|name| root.join(name).join("clippy.toml"));
    let text = fs::read_to_string(&components).expect("the lists");
    assert_eq!(fs::read_to_string(&systems).expect("the lists"), text);
    for what in ["Instant::now", "SystemTime::now", "thread::spawn", "HashMap", "HashSet", "system::Local"] {
        assert!(text.contains(what), "{what} is allowed");
    }
    assert!(!root.join("clippy.toml").exists(), "the root crate is the outside of the world");
}

#[test]
fn the_user_agent_and_its_owners_share_nothing_with_the_switch() {
    let switch = ["ringworld_components", "ringworld_systems", "crate::engine", "crate::net", "crate::replay", "bevy"];
    for folder in ["src/ua", "src/load", "src/sim/agent"] {
        assert_never(folder, &switch);
    }
    // The user agent depends on no other module of this crate, the simulated callers on the user agent alone.
    for (folder, may) in [("ua", &["ua"][..]), ("load", &["ua", "load"][..])] {
        for (path, text) in sources(&format!("src/{folder}")) {
            let relative = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).expect("a source file");
            for name in named(&text).iter().filter_map(|name| absolute(relative, name)) {
                let reached = name.split("::").next().unwrap_or_default();
                assert!(may.contains(&reached), "{} must not name {reached}: {name}", path.display());
            }
        }
    }
    // The simulator may read the world, but uses none of its systems.
    assert_never("src/sim", &["ringworld_systems", "crate::net"]);
}

#[test]
fn sip_is_spoken_to_the_switch_by_the_user_agent_alone() {
    let pieces = ["SIP/2.0/UDP", "SIP/2.0/TCP", "CSeq: {", "Call-ID: {"];
    for folder in ["src/load", "src/sim/agent", "src/testkit"] {
        for (path, text) in sources(folder) {
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let written = pieces.iter().find(|piece| naming(code, piece).next().is_some());
            assert_eq!(written, None, "{} writes SIP by hand", path.display());
        }
    }
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
fn the_licences_that_the_manifest_names_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| fs::read_to_string(root.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(read("Cargo.toml").contains("\nlicense = \"MIT OR Apache-2.0\"\n"));
    assert!(read("LICENSE-MIT").contains("Permission is hereby granted, free of charge"));
    assert!(read("LICENSE-APACHE").contains("Version 2.0, January 2004"));
}

#[test]
fn the_documented_states_are_those_of_the_matrix() {
    use ringworld::components::call::diagram;
    use ringworld::components::edge::OperationKind;
    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/session-states.md")).expect("the page");
    assert!(page.contains(&diagram()), "docs/session-states.md is out of date:\n{}", diagram());
    for operation in OperationKind::ON_SESSIONS {
        let states: Vec<String> = operation.legal_in().iter().map(ToString::to_string).collect();
        let row = format!("| {operation} | {} |", states.join(", "));
        assert!(page.contains(&row), "docs/session-states.md lacks {row}");
    }
}
