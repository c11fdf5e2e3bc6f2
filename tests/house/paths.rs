//! Which paths a source file names, however it writes them: in one line, grouped in braces, by way of `super`.

use std::path::Path;

/// Every path of the `use` declarations, flattened, and every other path that has a `::` in it.
pub fn named(text: &str) -> Vec<String> {
    let code: String =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).map(|line| format!("{line}\n")).collect();
    let mut found = Vec::new();
    let mut rest = code.as_str();
    while let Some(at) = rest.find("use ") {
        let is_word = rest[..at].chars().next_back().is_none_or(|before| before.is_whitespace() || before == '(');
        let (declaration, after) = rest[at + 4..].split_once(';').unwrap_or((&rest[at + 4..], ""));
        words(&rest[..at], &mut found);
        if is_word && declaration.contains("::") && !declaration.contains(['(', '=', '"']) {
            flatten("", declaration, &mut found);
            rest = after;
        } else {
            rest = &rest[at + 4..];
        }
    }
    words(rest, &mut found);
    found
}

/// The paths that stand in other code.
fn words(code: &str, found: &mut Vec<String>) {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let paths = code.split(|c: char| !is_part(c)).filter(|word| word.contains("::"));
    found.extend(paths.map(|path| path.trim_matches(':').to_owned()));
}

/// The paths of one `use` tree.
fn flatten(prefix: &str, tree: &str, found: &mut Vec<String>) {
    let tree = tree.trim();
    let Some((head, group)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or(tree).trim();
        if !path.is_empty() {
            found.push(format!("{prefix}{path}"));
        }
        return;
    };
    let (mut depth, mut from) = (0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                flatten(&format!("{prefix}{}", head.trim()), &group[from..at], found);
                return;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                flatten(&format!("{prefix}{}", head.trim()), &group[from..at], found);
                from = at + 1;
            }
            _ => {}
        }
    }
}

/// A path from the root of its crate, without `crate`; `None` if it does not lead there. `file` is relative to the
/// crate's `src`. In an inline module `super` is taken to climb one step too far, which errs on the strict side.
pub fn absolute(file: &Path, path: &str) -> Option<String> {
    if let Some(rest) = path.strip_prefix("crate::") {
        return Some(rest.to_owned());
    }
    let mut module: Vec<String> =
        file.with_extension("").components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    if module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    let mut rest = path;
    while let Some(further) = rest.strip_prefix("super::") {
        module.pop();
        rest = further;
    }
    (rest.len() < path.len() && module.is_empty()).then(|| rest.to_owned())
}

#[test]
fn no_way_of_writing_an_import_escapes() {
    let text = "
        //! use crate::commented::out;
        use crate::kernel::Now;
        use crate::{call::{Parties, Session as S}, media::Stream};
        pub use std::{net::IpAddr, thread};
        use super::super::wire::sip;
        #[cfg(test)]
        mod tests { use super::*; }
        fn f() { let it = crate::edge::Flow::default(); std::thread::sleep(it.because()); }
    ";
    let found = named(text);
    for path in [
        "crate::kernel::Now",
        "crate::call::Parties",
        "crate::call::Session",
        "crate::media::Stream",
        "std::net::IpAddr",
        "std::thread",
        "super::super::wire::sip",
        "super::*",
        "crate::edge::Flow::default",
        "std::thread::sleep",
    ] {
        assert!(found.iter().any(|it| it == path), "{path}: {found:?}");
    }
    assert!(!found.iter().any(|it| it.contains("commented")), "{found:?}");
    let (file, folder) = (Path::new("call/dialog.rs"), Path::new("call/mod.rs"));
    assert_eq!(absolute(file, "crate::media::Stream").as_deref(), Some("media::Stream"));
    assert_eq!(absolute(file, "super::super::media::Stream").as_deref(), Some("media::Stream"));
    assert_eq!(absolute(folder, "super::media::Stream").as_deref(), Some("media::Stream"));
    assert_eq!(absolute(file, "super::parties::Parties"), None);
    assert_eq!(absolute(file, "std::fmt::Display"), None);
}
