//! The limit of file descriptors.

use super::{NetError, error::system};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the soft limit of RLIMIT_NOFILE to `needed` if it is lower, and the hard limit too where the process is
/// privileged. Returns how many descriptors there may be: as many as needed, or else what the hard limit allows.
pub(crate) fn raise_descriptors(needed: u64) -> Result<u64, NetError> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(system("reading RLIMIT_NOFILE"))?;
    if soft >= needed {
        return Ok(soft);
    }
    if hard < needed && setrlimit(Resource::RLIMIT_NOFILE, needed, needed).is_ok() {
        return Ok(needed);
    }
    let granted = needed.min(hard);
    setrlimit(Resource::RLIMIT_NOFILE, granted, hard).map_err(system("raising RLIMIT_NOFILE"))?;
    Ok(granted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_raised_as_far_as_the_system_grants() {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        let wanted = (soft + 1).min(hard);
        assert!(raise_descriptors(wanted).unwrap() >= wanted);
        assert!(getrlimit(Resource::RLIMIT_NOFILE).unwrap().0 >= wanted);
        // More than any kernel grants.
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(raise_descriptors(hard.max(1 << 40) + 5).unwrap(), hard);
    }
}
