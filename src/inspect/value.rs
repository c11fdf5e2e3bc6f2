//! The `Debug` output of a component, made readable: a field a line, bytes as text, ticks as seconds, entities by their
//! stable ids. It works for any component, those of users' plugins included.

use super::time::seconds;
use bevy_ecs::prelude::*;
use ringworld_components::kernel::{Now, StableId};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::iter::Peekable;
use std::str::Chars;

/// A value that takes more than this many characters is written over several lines.
const LINE_MAX: usize = 100;

/// Of a list of more plain values than this only so many are shown.
const PLAIN_MAX: usize = 24;

/// The names of entities: what `Debug` writes of each, and its stable id.
pub(super) struct Names(BTreeMap<String, StableId>);

impl Names {
    /// Of all entities of a world.
    pub fn of(world: &World) -> Self {
        let named = |entity: EntityRef| Some((format!("{:?}", entity.id()), *entity.get::<StableId>()?));
        Self(world.iter_entities().filter_map(named).collect())
    }

    fn get(&self, text: &str) -> Option<String> {
        self.0.get(text).map(StableId::to_string)
    }
}

/// A value as lines, each indented by `indent` blanks.
pub(super) fn readable(debug: &str, names: &Names, indent: usize) -> String {
    let mut chars = debug.chars().peekable();
    let value = parse(&mut chars);
    let mut text = String::new();
    if chars.peek().is_some() {
        // Not as derived implementations write: as it is.
        let _ = writeln!(text, "{:indent$}{debug}", "");
        return text;
    }
    match &value {
        Value::Group { items, .. } if !items.is_empty() && items.iter().all(|(label, _)| label.is_some()) => {
            write_fields(items, names, indent, &mut text);
        }
        value => write_value("", value, names, indent, &mut text),
    }
    text
}

/// One value of `Debug`'s grammar.
#[derive(Debug, PartialEq)]
enum Value {
    /// A number, a name, an address.
    Atom(String),
    /// A string, without quotes and escapes.
    Text(String),
    /// The content of brackets, with the name in front of it; items may have labels.
    Group { name: String, open: char, items: Vec<(Option<String>, Value)> },
}

fn parse(from: &mut Peekable<Chars>) -> Value {
    let mut atom = String::new();
    while let Some(&next) = from.peek() {
        match next {
            '"' if atom.is_empty() || atom == "b" => {
                from.next();
                return Value::Text(string(from));
            }
            '\'' if atom.is_empty() => {
                // A character, which may be a bracket.
                atom.push(next);
                from.next();
                while let Some(character) = from.next() {
                    atom.push(character);
                    match character {
                        '\\' => atom.extend(from.next()),
                        '\'' => break,
                        _ => {}
                    }
                }
            }
            '[' if atom.is_empty() && is_address(from.clone()) => {
                atom.extend(from.by_ref().take_while(|&character| character != ']'));
                atom.push(']');
            }
            '(' | '[' | '{' => {
                from.next();
                return Value::Group { name: atom.trim().to_owned(), open: next, items: items(from, closing(next)) };
            }
            ',' | ')' | ']' | '}' => break,
            ':' => {
                // A label's colon is followed by a blank, an address's by a digit.
                let mut ahead = from.clone();
                ahead.next();
                if ahead.peek() == Some(&' ') {
                    break;
                }
                atom.push(next);
                from.next();
            }
            _ => {
                atom.push(next);
                from.next();
            }
        }
    }
    Value::Atom(atom.trim().to_owned())
}

fn items(from: &mut Peekable<Chars>, close: char) -> Vec<(Option<String>, Value)> {
    let mut items = Vec::new();
    loop {
        while from.next_if(|&next| next == ' ' || next == ',').is_some() {}
        if from.next_if_eq(&close).is_some() || from.peek().is_none() {
            return items;
        }
        let before = from.clone().count();
        let first = parse(from);
        if from.next_if_eq(&':').is_some() {
            while from.next_if_eq(&' ').is_some() {}
            items.push((Some(first.in_line(&Names(BTreeMap::new()))), parse(from)));
        } else {
            items.push((None, first));
        }
        if from.clone().count() == before {
            // A bracket that closes nothing.
            return items;
        }
    }
}

fn closing(open: char) -> char {
    match open {
        '(' => ')',
        '[' => ']',
        _ => '}',
    }
}

/// A number; one that is too long to be a count is a key or a set of bits.
fn number(atom: &str) -> String {
    let is_long = atom.len() > 20 && atom.bytes().all(|byte| byte.is_ascii_digit());
    atom.parse::<u128>().ok().filter(|_| is_long).map_or_else(|| atom.to_owned(), |key| format!("{key:#x}"))
}

/// Whether the text in brackets is an IPv6 address.
fn is_address(mut from: Peekable<Chars>) -> bool {
    from.next();
    let inside: String = from.take_while(|&character| character != ']').collect();
    inside.contains(':') && inside.chars().all(|character| character.is_ascii_hexdigit() || ":.%".contains(character))
}

/// The rest of a string, without its escapes.
fn string(from: &mut Peekable<Chars>) -> String {
    let mut text = String::new();
    while let Some(character) = from.next() {
        match character {
            '"' => break,
            '\\' => match from.next() {
                Some('n') => text.push('\n'),
                Some('r') => text.push('\r'),
                Some('t') => text.push('\t'),
                Some('0') => text.push('\0'),
                Some('x') => {
                    text.push_str("\\x");
                    text.extend(from.by_ref().take(2));
                }
                Some(other) => text.push(other),
                None => break,
            },
            _ => text.push(character),
        }
    }
    text
}

impl Value {
    /// On one line.
    fn in_line(&self, names: &Names) -> String {
        match self {
            Self::Atom(atom) if atom == "None" => "-".to_owned(),
            Self::Atom(atom) => names.get(atom).unwrap_or_else(|| number(atom)),
            Self::Text(text) => format!("{text:?}"),
            Self::Group { name, items, .. } => {
                let mut inside = items.iter().map(|(label, value)| match label {
                    Some(label) => format!("{label}: {}", value.labelled(label, names)),
                    None => value.in_line(names),
                });
                if let [(None, value)] = items.as_slice() {
                    match (name.as_str(), value) {
                        ("Some", value) => return value.in_line(names),
                        ("ConnId", Self::Atom(none)) if none == "0" => return "-".to_owned(),
                        ("Now", Self::Atom(tick)) => {
                            return tick.parse().map_or_else(|_| tick.clone(), |tick| seconds(Now(tick)));
                        }
                        _ => {}
                    }
                }
                let inside = inside.by_ref().collect::<Vec<_>>().join(", ");
                match (self.open(), inside.is_empty()) {
                    ('{', true) => name.clone(),
                    ('{', false) => format!("{name} {{ {inside} }}").trim_start().to_owned(),
                    (open, _) => format!("{name}{open}{inside}{}", closing(open)),
                }
            }
        }
    }

    /// On one line, as what has this label is written elsewhere, too.
    fn labelled(&self, label: &str, names: &Names) -> String {
        match self {
            Self::Atom(atom) if label == "ssrc" => {
                atom.parse().map_or_else(|_| atom.clone(), |ssrc: u32| format!("{ssrc:#010x}"))
            }
            _ => self.in_line(names),
        }
    }

    /// A list of many plain values, samples mostly: the first of them, and how many there are.
    fn many(&self, names: &Names) -> Option<String> {
        let Self::Group { open: '[', items, .. } = self else { return None };
        let is_plain = items.iter().all(|(label, value)| label.is_none() && matches!(value, Self::Atom(_)));
        let first: Vec<String> = items.iter().take(PLAIN_MAX).map(|(_, value)| value.in_line(names)).collect();
        (is_plain && items.len() > PLAIN_MAX).then(|| format!("{} values: {} …", items.len(), first.join(" ")))
    }

    fn open(&self) -> char {
        if let Self::Group { open, .. } = self { *open } else { '{' }
    }
}

fn write_fields(items: &[(Option<String>, Value)], names: &Names, indent: usize, text: &mut String) {
    let label_of = |label: &Option<String>| label.clone().unwrap_or_else(|| "-".to_owned());
    let width = items.iter().map(|(label, _)| label_of(label).chars().count()).max().unwrap_or(0);
    for (label, value) in items {
        write_value(&format!("{:width$}  ", label_of(label)), value, names, indent, text);
    }
}

/// Writing to a string can't fail, so the results of `writeln!` are of no interest.
fn write_value(label: &str, value: &Value, names: &Names, indent: usize, text: &mut String) {
    let inner = match value {
        Value::Group { name, items, .. } if name == "Some" => items.first().map_or(value, |(_, value)| value),
        other => other,
    };
    let line = inner.many(names).unwrap_or_else(|| inner.labelled(label.trim_end(), names));
    match inner {
        inner if inner.many(names).is_some() => {
            let _ = writeln!(text, "{:indent$}{label}{line}", "");
        }
        Value::Text(message) if message.contains("\r\n") => {
            let _ = writeln!(text, "{:indent$}{}", "", label.trim_end());
            for line in message.trim_end().lines() {
                let _ = writeln!(text, "{:indent$}  | {line}", "");
            }
        }
        Value::Group { name, items, .. } if line.chars().count() > LINE_MAX && !items.is_empty() => {
            let _ = writeln!(text, "{:indent$}{label}{name}", "");
            write_fields(items, names, indent + 4, text);
        }
        _ => {
            let _ = writeln!(text, "{:indent$}{label}{line}", "");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(debug: &str) -> String {
        readable(debug, &Names(BTreeMap::from([("12v3".to_owned(), StableId(0x1f))])), 2)
    }

    #[test]
    fn fields_stand_in_lines_with_ticks_bytes_and_entities_in_words() {
        let debug =
            r#"Call { call_id: b"a{b\"1", since: Now(1234), dialog: Some(12v3), offer: None, at: 10.0.0.2:5070 }"#;
        assert_eq!(
            read(debug),
            "  call_id  \"a{b\\\"1\"\n  since    6.170 s\n  dialog   #1f\n  offer    -\n  at       10.0.0.2:5070\n"
        );
    }

    #[test]
    fn a_message_is_written_line_by_line() {
        assert_eq!(
            read(r#"T { last: b"SIP/2.0 200 OK\r\nl: 0\r\n\r\n" }"#),
            "  last\n    | SIP/2.0 200 OK\n    | l: 0\n"
        );
    }

    #[test]
    fn addresses_characters_and_empty_things_are_kept() {
        assert_eq!(read("T { a: [::1]:5060, b: [], c: [1, 2], d: ')', e: Echo, f: {} }").lines().count(), 6);
        assert!(read("T { a: [::1]:5060 }").contains("a  [::1]:5060"));
        assert!(read("T { d: ')' }").contains("d  ')'"));
        assert_eq!(read("Connected"), "  Connected\n");
        assert_eq!(read("Live(12v3, 7)"), "  Live(#1f, 7)\n");
    }

    #[test]
    fn what_does_not_fit_a_line_is_broken() {
        let names: Vec<String> = (0..12).map(|n| format!("\"name {n:03}\"")).collect();
        let text = read(&format!("T {{ list: [{}] }}", names.join(", ")));
        assert_eq!(text.lines().count(), 13, "{text}");
    }

    #[test]
    fn samples_keys_sources_and_connections_are_written_for_people() {
        let samples = (0..320).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
        let text =
            read(&format!("T {{ bytes: [{samples}], e: E {{ ssrc: 48879, conn: ConnId(0), other: ConnId(7) }} }}"));
        assert!(text.starts_with("  bytes  320 values: 0 1 2 3 ") && text.contains(" 22 23 …\n"), "{text}");
        assert!(text.contains("E { ssrc: 0x0000beef, conn: -, other: ConnId(7) }"), "{text}");
        assert_eq!(text.lines().count(), 2, "{text}");
        assert_eq!(
            read("T { key: 340282366920938463463374607431768211455, n: 18446744073709551615 }"),
            format!("  key  0x{}\n  n    18446744073709551615\n", "f".repeat(32))
        );
    }

    #[test]
    fn text_of_any_form_is_shown_somehow() {
        for odd in ["", "}", "a)", "T { a: ", "\"", "T { a: \"x", "((((", "a, b", "T { : }"] {
            assert!(read(odd).ends_with('\n'), "{odd:?}");
        }
    }
}
