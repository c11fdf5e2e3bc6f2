//! Writing files and terminal text.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// Writes a file so that it is there whole or not at all.
pub(super) fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let part = Path::new(&name);
    let written = fs::write(part, content).and_then(|()| fs::rename(part, path));
    if written.is_err() {
        // Nothing may be there to remove.
        let _ = fs::remove_file(part);
    }
    written
}

/// Prints to standard output. A reader that has closed it (`| head`) is no error.
pub(super) fn print(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Two columns, the second one aligned.
pub(super) fn columns(rows: &[(String, String)]) -> String {
    let width = rows.iter().map(|(left, _)| left.chars().count()).max().unwrap_or(0);
    rows.iter().map(|(left, right)| format!("{left:width$}  {right}").trim_end().to_owned() + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_leaves_nothing_beside_it() {
        let folder = std::env::temp_dir().join(format!("ringworld-output-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("summary.json");
        write_whole(&path, b"old").unwrap();
        write_whole(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
        assert!(write_whole(&folder.join("missing/summary.json"), b"").is_err());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn columns_are_aligned() {
        let rows = [("a".to_owned(), "1".to_owned()), ("long".to_owned(), "2".to_owned())];
        assert_eq!(columns(&rows), "a     1\nlong  2\n");
    }
}
