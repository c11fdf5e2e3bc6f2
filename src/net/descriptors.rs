//! The limit of file descriptors.

use super::{NetError, error::system};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the soft limit of RLIMIT_NOFILE to `needed` if it is lower, and the hard limit too where the process is
/// privileged; or says that the hard limit is too low.
pub(crate) fn ensure_descriptors(needed: u64) -> Result<(), NetError> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(system("reading RLIMIT_NOFILE"))?;
    if soft >= needed {
        return Ok(());
    }
    if hard < needed {
        let refused = |_| NetError::Descriptors { needed, granted: hard };
        return setrlimit(Resource::RLIMIT_NOFILE, needed, needed).map_err(refused);
    }
    setrlimit(Resource::RLIMIT_NOFILE, needed, hard).map_err(system("raising RLIMIT_NOFILE"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_raised_and_what_is_missing_is_said() {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let wanted = (soft + 1).min(hard);
        ensure_descriptors(wanted).unwrap();
        assert!(getrlimit(Resource::RLIMIT_NOFILE).unwrap().0 >= wanted);
        // More than any kernel grants.
        let hard = getrlimit(Resource::RLIMIT_NOFILE).unwrap().1;
        let error = ensure_descriptors(hard.max(1 << 40) + 5).unwrap_err();
        let missing = format!("{} are missing", hard.max(1 << 40) + 5 - hard);
        assert!(error.to_string().contains(&missing), "{error}");
    }
}
