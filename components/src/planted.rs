//! Deliberate faults, and bugs of the past, to show that the simulator finds them. Without the feature `planted-faults`
//! there are none: the switches in the code are then the constant `false`.
//!
//! A switch is one line at the place, [`planted!`](crate::planted!), and a variant of `Planted` that says what it
//! breaks. The planted fault is a variable of the thread, as a simulated world stays in one thread.

/// Whether a fault is planted; with `Name ? this, that`, one expression in place of another.
#[cfg(feature = "planted-faults")]
#[macro_export]
macro_rules! planted {
    ($fault:ident) => {
        $crate::planted::is_planted($crate::planted::Planted::$fault)
    };
    ($fault:ident ? $this:expr, $that:expr) => {
        if $crate::planted!($fault) { $this } else { $that }
    };
}

/// Whether a fault is planted: never, without the feature `planted-faults`.
#[cfg(not(feature = "planted-faults"))]
#[macro_export]
macro_rules! planted {
    ($fault:ident) => {
        false
    };
    ($fault:ident ? $this:expr, $that:expr) => {
        $that
    };
}

#[cfg(feature = "planted-faults")]
#[expect(clippy::disallowed_types, reason = "the order of a hash map that reaches an output is one of the faults")]
mod faults {
    use std::cell::Cell;
    use std::hash::{BuildHasher, RandomState};

    macro_rules! faults {
        ($($(#[$doc:meta])* $name:ident,)* @bugs $($(#[$of_bug:meta])* $bug:ident,)*) => {
            /// The faults that can be planted.
            #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
            pub enum Planted { $($(#[$doc])* $name,)* $($(#[$of_bug])* $bug,)* }

            impl Planted {
                /// Those that were made up, in order.
                pub const FAULTS: &[Planted] = &[$(Self::$name),*];
                /// Bugs that were real, brought back to show that the simulator would still find them.
                pub const BUGS: &[Planted] = &[$(Self::$bug),*];
            }
        };
    }

    faults! {
        /// A port is lost with every call of ours that is cancelled.
        LostPort,
        /// The ACK of a 2xx is not matched.
        UnmatchedAck,
        /// The ringing deadline of an answered call goes on.
        TimerLeftRunning,
        /// A speaker hears itself in the mix.
        SelfHearing,
        /// A call that we end gets no BYE.
        NoBye,
        /// A digit is reported twice.
        DigitDoubled,
        /// Packets of a mix leave in the order of a hash map.
        HashOrder,
        /// A re-INVITE after a 491 has the CSeq number of the one before.
        CseqAfter491,
        /// A room stays when its last member has left.
        RoomOutlives,
        /// A retransmitted request is taken for a new one.
        RetransmissionIsNew,
        /// RTP is sent to a peer that does not want to receive.
        HoldLeaks,
        /// A jitter buffer waits for half a second, and never catches up.
        DelayCreeps,
        /// The buffer of a packet that was read is not given back.
        BufferLost,
        /// Each response of a call has another tag.
        ChangingTag,
        // Those below were devised by reading the engine, when the invariants were there.
        /// A BYE is answered, but ends nothing.
        ByeUnheard,
        /// The outcome of a call is counted twice.
        OutcomeTwice,
        /// An INVITE is sent again after a provisional response.
        RetransmitsOn,
        /// A call that is resumed stays on hold.
        ResumeForgotten,
        /// Every stream that enters a room comes into the first one that there is.
        WrongRoom,
        /// The longest duration of a call is half of what is set.
        DurationEarly,
        /// An answer leaves out the lines that are turned down.
        LinesLost,
        /// The direction of an answer is that of the offer, not its counterpart.
        UnmirroredDirection,
        /// A restored wheel lacks the count of the timers that were started.
        RestoreForgets,
        /// Taking a frame out of a jitter buffer panics.
        EarPanics,
        /// Playback a frame panics.
        PlayerPanics,
        // What is to survive a kill.
        /// What a tick puts out leaves before the tick is written down.
        EgressFirst,
        /// The boot epoch after a kill is that of the run before.
        EpochStays,
        /// The time in which the world was not run does not count.
        DowntimeLost,
        /// The follower encodes its world a tick later than the journal that it is for begins.
        SnapshotLate,
        /// The end of the headers is not found when it comes in two pieces.
        SplitUnseen,
        /// A dependent child goes on when its parent ends.
        ChildStays,
        // Media that must flow.
        /// Where there is nothing to hear silence is sent once, and never again.
        PauseFilledOnce,

        @bugs
        /// A digit that a hold interrupts is paused, and goes on afterwards as another one.
        HeldDigitGoesOn,
        /// The timestamp of a digit is reckoned back from its present packet, over ticks that were skipped.
        DigitMoves,
        /// A request that is refused for want of transactions gets no To tag.
        TaglessRefusal,
        /// An INVITE that got a provisional response and never a final one outlives its call.
        InviteStays,
        /// A call that is answered in the very tick of its ringing deadline is ended by it.
        DeadlineOverAnswer,
        /// The 200 to a re-INVITE waits for the ACK of the last request in its dialog, whichever that was.
        AckOfAnother,
        /// A source that still sends to the port of a call that is over is taken for the source of the next one.
        FormerPeerLatches,
        /// Idle ticks at the end of a journal are not written down before the next one begins.
        IdleUnwritten,
        /// The content of the jitter buffers of a world that was killed is heard after its restart.
        PastIsHeard,
        /// A source that sent to a port before its call was known is taken for its source.
        EarlyPeerLatches,
    }

    thread_local! {
        static PLANTED: Cell<Option<Planted>> = const { Cell::new(None) };
    }

    /// Plants a fault into the worlds of this thread, or takes the one that there is away.
    pub fn plant(fault: Option<Planted>) {
        PLANTED.set(fault);
    }

    /// Which fault is planted in the worlds of this thread.
    pub fn planted() -> Option<Planted> {
        PLANTED.get()
    }

    /// Whether this fault is planted in the worlds of this thread.
    pub fn is_planted(fault: Planted) -> bool {
        PLANTED.get() == Some(fault)
    }

    thread_local! {
        static HASHES: RandomState = RandomState::new();
        static HASHED: Cell<u64> = const { Cell::new(0) };
    }

    /// The place of a number in a hash map, which is another one in every map.
    pub fn hashed(number: u16) -> u64 {
        HASHED.set(HASHED.get().wrapping_add(1) % 1021);
        HASHES.with(|state| state.hash_one((number, HASHED.get())))
    }
}

#[cfg(feature = "planted-faults")]
pub use faults::{Planted, hashed, is_planted, plant, planted};
