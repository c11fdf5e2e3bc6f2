//! The rule of the house about public items: each is used somewhere. The compiler says this of private items alone.

use super::words::sources;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The folders whose public items are looked at; what uses them may be in any folder.
const OF_ITEMS: [&str; 3] = ["components/src", "systems/src", "src"];

const ITEMS: [&str; 8] = ["fn", "struct", "enum", "trait", "type", "const", "static", "union"];

/// Functions of modules that serde is told of in a string, `#[serde(with = "..")]`.
const CALLED_BY_SERDE: [&str; 2] = ["serialize", "deserialize"];

/// The words and the other characters of a source, without comments, strings and characters in quotes.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let length = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' => quoted(rest),
            '\'' => character(rest).unwrap_or(1),
            _ if word > 0 => {
                let raw = rest.get(word..).unwrap_or_default();
                let hashes = raw.bytes().take_while(|byte| *byte == b'#').count();
                let is_raw = matches!(&rest[..word], "r" | "br" | "cr") && raw[hashes..].starts_with('"');
                if is_raw {
                    let end = format!("\"{}", "#".repeat(hashes));
                    let begin = word + hashes + 1;
                    rest[begin..].find(&end).map_or(rest.len(), |at| begin + at + end.len())
                } else {
                    tokens.push(rest[..word].to_owned());
                    word
                }
            }
            _ => {
                if !first.is_whitespace() {
                    tokens.push(first.to_string());
                }
                first.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    tokens
}

/// The length of a string that begins here.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a character in quotes that begins here; `None` if this is a lifetime.
fn character(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('\'')?;
    let from = if inner.starts_with('\\') { 2 } else { inner.chars().next()?.len_utf8() };
    let end = if inner.starts_with('\\') { inner.get(from..)?.find('\'')? } else { 0 };
    inner.get(from + end..)?.starts_with('\'').then_some(1 + from + end + 1)
}

/// What the tokens say about the items of a program.
#[derive(Default)]
struct Items {
    /// How often each word stands in the code, re-exports and modules of tests left out.
    words: BTreeMap<String, usize>,
    /// How often something is defined by that name.
    defined: BTreeMap<String, usize>,
    /// The public items, with their files.
    public: BTreeSet<(PathBuf, String)>,
}

impl Items {
    fn read(&mut self, path: &Path, tokens: &[String]) {
        let is = |at: usize, word: &str| tokens.get(at).is_some_and(|token| token == word);
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            if let Some(end) = end_of_tests(tokens, at) {
                at = end;
                continue;
            }
            if token == "pub" && is(at + 1, "use") {
                at += tokens[at..].iter().position(|token| token == ";").unwrap_or(tokens.len());
                continue;
            }
            *self.words.entry(token.clone()).or_default() += 1;
            let name = tokens.get(at + 1).filter(|_| ITEMS.contains(&token.as_str()));
            let is_name =
                |name: &&String| name.starts_with(|c: char| c.is_alphabetic()) && *name != "fn" && *name != "unsafe";
            if let Some(name) = name.filter(is_name) {
                *self.defined.entry(name.clone()).or_default() += 1;
                let before = tokens[..at].iter().rev();
                let mut before = before.skip_while(|word| ["const", "async", "unsafe"].contains(&word.as_str()));
                let is_ours = OF_ITEMS.iter().any(|folder| path.starts_with(folder));
                if is_ours && before.next().is_some_and(|word| word == "pub") {
                    self.public.insert((path.to_path_buf(), name.clone()));
                }
            }
            at += 1;
        }
    }

    /// The public items whose name stands at definitions alone.
    fn unused(&self) -> Vec<String> {
        let count = |of: &BTreeMap<String, usize>, name: &String| of.get(name).copied().unwrap_or_default();
        let is_unused = |name: &String| count(&self.words, name) <= count(&self.defined, name);
        let unused =
            self.public.iter().filter(|(_, name)| is_unused(name) && !CALLED_BY_SERDE.contains(&name.as_str()));
        unused.map(|(path, name)| format!("{}: {name}", path.display())).collect()
    }
}

/// Where a module of tests that begins here ends, if it is written out.
fn end_of_tests(tokens: &[String], at: usize) -> Option<usize> {
    let name = module_of_tests(tokens, at)?;
    tokens.get(name + 1).filter(|token| *token == "{")?;
    let mut depth = 0;
    let end = tokens[name + 1..].iter().position(|token| {
        depth += i32::from(token == "{") - i32::from(token == "}");
        depth == 0
    });
    Some(end.map_or(tokens.len(), |end| name + 1 + end + 1))
}

/// Where the name of a module is that is compiled for tests alone, if its attribute is here.
fn module_of_tests(tokens: &[String], at: usize) -> Option<usize> {
    let attribute = ["#", "[", "cfg", "(", "test", ")", "]"];
    tokens.get(at..at + attribute.len())?.iter().eq(attribute.iter()).then_some(())?;
    let mut next = at + attribute.len();
    while tokens.get(next)? == "#" {
        next += tokens[next..].iter().position(|token| token == "]")? + 1;
    }
    (tokens.get(next)? == "mod").then_some(next + 1)
}

/// The files, or folders, of the modules that a file declares for tests alone.
fn files_of_tests(path: &Path, tokens: &[String]) -> Vec<PathBuf> {
    let is_root = ["mod.rs", "lib.rs", "main.rs"].iter().any(|name| path.ends_with(name));
    let folder = if is_root { path.parent().unwrap_or(path).to_path_buf() } else { path.with_extension("") };
    let names = (0..tokens.len()).filter_map(|at| module_of_tests(tokens, at));
    let names = names.filter(|name| tokens.get(name + 1).is_some_and(|token| token == ";"));
    names.filter_map(|name| tokens.get(name)).map(|name| folder.join(name)).collect()
}

/// The items of these sources.
fn items_of(sources: Vec<(PathBuf, String)>) -> Items {
    let sources: Vec<_> = sources.into_iter().map(|(path, text)| (path, tokens(&text))).collect();
    let tests: Vec<PathBuf> = sources.iter().flat_map(|(path, tokens)| files_of_tests(path, tokens)).collect();
    let is_test = |path: &Path| tests.iter().any(|test| path.with_extension("") == *test || path.starts_with(test));
    let mut items = Items::default();
    for (path, tokens) in sources.iter().filter(|(path, _)| !is_test(path)) {
        items.read(path, tokens);
    }
    items
}

#[test]
fn every_public_item_is_used_outside_of_its_own_tests() {
    let items = items_of(sources());
    assert!(items.public.len() > 1_000, "the public items are not found any more");
    let unused = items.unused();
    assert!(unused.is_empty(), "nothing uses these public items; use or remove them:\n{}", unused.join("\n"));
}

#[test]
fn an_item_that_only_texts_re_exports_and_tests_name_is_unused() {
    let source = |path: &str, text: &str| (PathBuf::from(path), text.to_owned());
    let items = items_of(vec![
        source(
            "src/mod.rs",
            "#[cfg(test)] mod checks; pub use a::{bare, Used};
             /// See [`bare`]. It says 'no.
             pub const fn bare<'a>(_: &'a str) { /* bare */ let _ = ('\\'', '\"', \"bare \\\" bare\", r#\"bare\"\"#); }
             pub struct Used; pub(crate) struct Hidden; pub async fn twice() {}
             #[cfg(test)] #[allow(unused)] mod tests { fn a() { if true { bare(\"\"); } } fn b() { bare(\"\"); } }",
        ),
        source("src/checks/inner.rs", "fn checks() { bare(\"\"); }"),
        source("tests/other.rs", "fn f() { Used; } fn twice() {} pub fn helper() {}"),
    ]);
    assert_eq!(items.unused(), ["src/mod.rs: bare", "src/mod.rs: twice"]);
}
