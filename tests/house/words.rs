//! The rules of the house about words and lengths: plain technical English in sources and pages, and short files.

use std::fs;
use std::path::{Path, PathBuf};

/// The folders whose sources are read.
const FOLDERS: [&str; 6] = ["components", "systems", "src", "examples", "benches", "tests"];

/// Words that make persons of peers, streams and processes.
const BANNED: [&str; 9] = ["he", "him", "his", "himself", "somebody", "nobody", "everybody", "whoever", "whom"];

const LINES_MAX: usize = 400;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The sources of the folders by their paths in the repository, without what a build leaves in them.
pub fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for folder in FOLDERS {
        let begin = found.len();
        for (path, text) in super::sources(folder) {
            let path = path.strip_prefix(root()).expect("a path of the repository").to_path_buf();
            if path.components().all(|part| part.as_os_str() != "target") {
                found.push((path, text));
            }
        }
        assert!(found.len() > begin, "no sources under {folder}");
    }
    found
}

/// The pages by their paths in the repository.
fn pages() -> Vec<(PathBuf, String)> {
    let mut paths = vec![PathBuf::from("README.md"), PathBuf::from("ARCHITECTURE.md")];
    for entry in fs::read_dir(root().join("docs")).expect("the pages") {
        let name = PathBuf::from(entry.expect("an entry").file_name());
        if name.extension().is_some_and(|extension| extension == "md") {
            paths.push(Path::new("docs").join(name));
        }
    }
    let read = |path: PathBuf| {
        let text = fs::read_to_string(root().join(&path)).expect("a page");
        (path, text)
    };
    paths.into_iter().map(read).collect()
}

/// The first banned word of a line. A name in code is as many words as its underscores tell.
fn banned(line: &str) -> Option<&str> {
    line.split(|letter: char| !letter.is_alphanumeric())
        .find(|word| BANNED.iter().any(|banned| word.eq_ignore_ascii_case(banned)))
}

/// Every banned word of a text, with its place: in comments, strings and names.
fn found_in(path: &Path, text: &str) -> Vec<String> {
    let found = text.lines().zip(1..).filter_map(|(line, number)| Some((number, banned(line)?)));
    found.map(|(number, word)| format!("{}:{number}: {word:?}", path.display())).collect()
}

#[test]
fn no_source_and_no_page_uses_a_word_that_is_banned() {
    let mut found = Vec::new();
    for (path, text) in sources() {
        if path != Path::new("tests/house/words.rs") {
            found.extend(found_in(&path, &text));
        }
    }
    for (path, text) in pages() {
        found.extend(found_in(&path, &text));
    }
    assert!(found.is_empty(), "say it of a peer, a party, a stream or a process:\n{}", found.join("\n"));
}

#[test]
fn no_file_is_longer_than_400_lines() {
    let mut found = Vec::new();
    for (path, text) in sources() {
        let lines = text.lines().count();
        if lines > LINES_MAX {
            found.push(format!("{}: {lines} lines", path.display()));
        }
    }
    assert!(found.is_empty(), "split these files:\n{}", found.join("\n"));
}

#[test]
fn banned_words_are_found_as_whole_words() {
    assert_eq!(banned("/// The peer hears Himself."), Some("Himself"));
    assert_eq!(banned("// whoever, then"), Some("whoever"));
    assert_eq!(banned("/// The history of the chime; nobodyKnows."), None);
    assert_eq!(banned("fn one_that_nobody_reads() {"), Some("nobody"));
    let text = "let it = 1;\n    // He said so.\n";
    assert_eq!(found_in(Path::new("a.rs"), text), ["a.rs:2: \"He\""]);
}
