//! How much is too much? Every bound of the engine, with its reason.

/// Contacts of one account: each costs a few KiB of memory and a tag in every hello, and a hello
/// holds 4,096 tags at up to 4 devices each.
pub const CONTACTS_MAX: usize = 1000;
/// Contact requests that wait for an answer; more are dropped until some are answered.
pub const PENDING_CONTACTS_MAX: usize = 100;
/// Contact requests of ours that one unrecognised link is offered.
pub const REQUESTS_PER_LINK_MAX: usize = 64;
/// Devices that may write in one log: two accounts of 32.
pub const AUTHORS_MAX: usize = 64;

/// Entries of one author that wait for what they depend on.
pub const PENDING_ENTRIES_MAX: usize = 1000;
/// Bytes of entries of one author that wait for what they depend on.
pub const PENDING_BYTES_MAX: usize = 8 << 20;
/// How far ahead of our clock an entry may be: time zones set wrongly, but no more.
pub const CLOCK_AHEAD_MS_MAX: u64 = 24 * 60 * 60 * 1000;
/// Age from which an entry that sorts above shown ones is marked late; below it both simply typed
/// at the same time.
pub const LATE_MS_MIN: u64 = 60 * 1000;

/// Bytes of entries in one frame when catching up: a second and a half on a line of 400 kbit/s.
pub const SYNC_FRAME_BYTES: usize = 64 * 1024;
/// Bytes sent on a link for one log and not yet covered by the receiver's frontier.
pub const SYNC_WINDOW_BYTES: usize = 1 << 20;
/// Rows read from the store at once while catching up.
pub const SYNC_ROWS: usize = 256;
/// First wait for progress before sending again.
pub const RESEND_MS_MIN: u64 = 3_000;
/// Longest wait for progress before sending again.
pub const RESEND_MS_MAX: u64 = 60_000;
/// The slowest line that is waited for: 128 kbit/s.
pub const SLOW_LINE_BYTES_PER_MS: u64 = 16;
/// Shortest time between two of our frontiers for one log: a flood costs 500 signatures a second.
pub const FRONTIER_MS_MIN: u64 = 2;
/// Time after which an established link is asked again for a frontier that never came.
pub const FRONTIER_ASK_MS: u64 = 3_000;

/// First wait before a hello is repeated on a link whose other end is not yet known.
pub const HELLO_MS_MIN: u64 = 2_000;
/// Hellos and requests that are looked at on one link, for each costs a multiplication on the
/// curve for every contact: an honest node says hello six times in the minute that a link without
/// a session lasts, and once more, with at most [`REQUESTS_PER_LINK_MAX`] requests, whenever its
/// list changes.
pub const INTRODUCTIONS_PER_LINK_MAX: u32 = 200;
/// Time after which a link without a session is closed.
pub const UNKNOWN_LINK_MS_MAX: u64 = 60_000;
/// Lifetime of a transport certificate.
pub const CERTIFICATE_MS: u64 = 24 * 60 * 60 * 1000;
/// How much the clocks of two devices may differ for a certificate to be believed.
pub const CERTIFICATE_SKEW_MS: u64 = 24 * 60 * 60 * 1000;
/// Links at one time; the transport has a lower limit of its own.
pub const LINKS_MAX: usize = 1024;
/// Refusals on one link after which it is closed.
pub const LINK_REFUSALS_MAX: u32 = 100;

/// First wait between two attempts to reach a contact.
pub const DIAL_MS_MIN: u64 = 500;
/// Longest wait between two attempts to reach a contact.
pub const DIAL_MS_MAX: u64 = 60_000;

/// Messages in one page of history.
pub const HISTORY_MAX: usize = 1000;
