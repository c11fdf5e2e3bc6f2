//! The kinds of timers that a session may have.

/// Timer of a session: it has been ringing, or waiting for a decision, for too long.
pub struct RingDeadline;

/// Timer of an incoming session that is not answered: the time that its INVITE gave in Expires is over (RFC 3261 section
/// 13.3.1).
pub struct InviteExpiry;

/// Timer of a session: it has lasted for too long.
pub struct DurationDeadline;

/// Timer of a session: it has rung long enough and is answered now (`ring-N`).
pub struct RingThenAnswer;

/// Timer of a session that we cancelled: the final response to its INVITE never came.
pub struct CancelDeadline;

/// Timer of a session: the claim of a plugin has lasted for as long as it may.
pub struct ClaimDeadline;
