//! What time is it, and who says so? Times are plain numbers handed in from outside.

use core::fmt;

/// Wall-clock time: milliseconds since 1970-01-01T00:00:00Z, as claimed by some device.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The last moment that fits 48 bits, in the year 10889.
    pub const LAST: Self = Self((1 << 48) - 1);

    /// A time from milliseconds since the Unix epoch; later than [`LAST`](Self::LAST) is that.
    pub const fn from_millis(millis: u64) -> Self {
        if millis < Self::LAST.0 { Self(millis) } else { Self::LAST }
    }

    /// Milliseconds since the Unix epoch.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// This time moved into the future.
    #[must_use]
    pub const fn plus_millis(self, millis: u64) -> Self {
        Self::from_millis(self.0.saturating_add(millis))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "time:{}", self.0)
    }
}

/// Monotonic time of one run of a node, in milliseconds; for intervals, never stored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Uptime(u64);

impl Uptime {
    /// Milliseconds since the node started.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the node started.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// This moment moved into the future.
    #[must_use]
    pub const fn plus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }
}

impl fmt::Debug for Uptime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "uptime:{}", self.0)
    }
}

/// Hybrid logical clock reading: 48 bits of milliseconds, 16 bits of counter
/// (Kulkarni et al., "Logical Physical Clocks", 2014).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hlc(u64);

impl Hlc {
    /// The reading before all others.
    pub const ZERO: Self = Self(0);

    /// A reading from its 64 bits.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The 64 bits of the reading.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The first reading of a millisecond.
    pub const fn at(time: Timestamp) -> Self {
        Self(time.0 << 16)
    }

    /// The wall-clock part.
    pub const fn time(self) -> Timestamp {
        Timestamp(self.0 >> 16)
    }

    /// The smallest reading above this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Debug for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hlc:{}.{}", self.0 >> 16, self.0 & 0xffff)
    }
}
