//! Which build this is.

use std::fs::File;
use std::io::{self, Read};
use std::sync::OnceLock;

/// The version, and a hash of the program's file: it changes with every build, and with nothing else.
///
/// A journal leads to the same world only in the build that wrote it; see [`super::StateError::OtherBuild`].
pub(super) fn build_id() -> &'static str {
    static ID: OnceLock<String> = OnceLock::new();
    ID.get_or_init(|| {
        // A program whose file is gone can still keep a journal; no other build will take it for its own.
        let hash = hash_of_program().unwrap_or_else(|_| format!("unknown-{}", std::process::id()));
        format!("{}+{hash}", env!("CARGO_PKG_VERSION"))
    })
}

fn hash_of_program() -> io::Result<String> {
    // Not by its name, which a newer build may have by now.
    let mut file = File::open("/proc/self/exe")?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finalize().to_hex().as_str().get(..16).unwrap_or_default().to_owned()),
            count => hasher.update(buffer.get(..count).unwrap_or_default()),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_stays_itself() {
        assert!(build_id().starts_with(env!("CARGO_PKG_VERSION")) && !build_id().contains("unknown"));
        assert_eq!(hash_of_program().unwrap(), hash_of_program().unwrap());
    }
}
