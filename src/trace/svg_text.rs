//! The few shapes that a picture is drawn of.

use std::fmt::Write;

/// A picture that is being drawn. Coordinates are pixels.
#[derive(Default)]
pub(super) struct Canvas {
    body: String,
}

// Writing to a string can't fail.
impl Canvas {
    pub fn text(&mut self, x: usize, y: usize, class: &str, text: &str) {
        let _ = writeln!(self.body, r#"<text x="{x}" y="{y}" class="{class}">{}</text>"#, escaped(text));
    }

    /// A text that can be pointed at for more.
    pub fn text_with_title(&mut self, x: usize, y: usize, class: &str, text: &str, title: &str) {
        let (text, title) = (escaped(text), escaped(title));
        let _ = writeln!(self.body, r#"<text x="{x}" y="{y}" class="{class}">{text}<title>{title}</title></text>"#);
    }

    pub fn line(&mut self, from: (usize, usize), to: (usize, usize), class: &str) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let _ = writeln!(self.body, r#"<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" class="{class}"/>"#);
    }

    pub fn rect(&mut self, at: (usize, usize), size: (usize, usize), radius: usize, class: &str) {
        let ((x, y), (width, height)) = (at, size);
        let _ = writeln!(
            self.body,
            r#"<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="{radius}" class="{class}"/>"#
        );
    }

    /// A triangle that points left or right, its tip at `tip`.
    pub fn tip(&mut self, tip: (usize, usize), to_the_right: bool, class: &str) {
        let (x, y) = tip;
        let back = if to_the_right { x.saturating_sub(9) } else { x + 9 };
        let _ = writeln!(
            self.body,
            r#"<path d="M{x} {y} L{back} {} L{back} {} Z" class="{class} tip"/>"#,
            y.saturating_sub(4),
            y + 4
        );
    }

    pub fn dot(&mut self, at: (usize, usize), class: &str) {
        let _ = writeln!(self.body, r#"<circle cx="{}" cy="{}" r="4" class="{class}"/>"#, at.0, at.1);
    }

    /// The whole picture.
    pub fn finish(self, width: usize, height: usize, style: &str) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\">\n<style>{style}</style>\n<rect width=\"{width}\" height=\"{height}\" class=\"page\"/>\n\
             {}</svg>\n",
            self.body
        )
    }
}

/// What XML keeps for itself is written another way; what it forbids is left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(character),
            '\r' => {}
            other if other.is_control() || matches!(other, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}

/// The text, or as much of it as fits with a mark that there was more.
pub(super) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// The text in lines of at most so many characters, cut between words where that is possible.
pub(super) fn wrapped(text: &str, most: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut room = most;
    for word in text.split_inclusive(' ') {
        let length = word.trim_end().chars().count();
        if length > room && !line.is_empty() {
            lines.push(std::mem::take(&mut line).trim_end().to_owned());
            room = most;
        }
        for letter in word.chars() {
            if room == 0 && letter != ' ' {
                lines.push(std::mem::take(&mut line));
                room = most;
            }
            line.push(letter);
            room = room.saturating_sub(1);
        }
    }
    lines.push(line.trim_end().to_owned());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_wrapped_between_words_and_loses_nothing() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("12345678 9", 4), ["1234", "5678", "9"]);
        assert_eq!((wrapped("", 4), wrapped("four", 4)), (vec![String::new()], vec!["four".to_owned()]));
    }

    #[test]
    fn nothing_that_a_peer_sends_breaks_out_of_the_text() {
        assert_eq!(escaped("<a b=\"c\">&\u{0}\r\n"), "&lt;a b=&quot;c&quot;&gt;&amp;\u{fffd}\n");
        assert_eq!((cut("abcd", 4), cut("abcde", 4)), ("abcd".to_owned(), "abc…".to_owned()));
    }
}
