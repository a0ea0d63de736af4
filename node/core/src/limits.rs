//! How much is too much? Every bound of the engine, with its reason.

use kith_common::limits::{ACCOUNT_DEVICES_MAX, HELLO_TAGS_MAX};

/// Contacts of one account: each costs a few KiB of memory.
pub const CONTACTS_MAX: usize = 1000;
/// Devices of contacts and of those who were asked: each needs its tag in every hello.
pub const KNOWN_DEVICES_MAX: usize = HELLO_TAGS_MAX;
/// Contact requests that wait for an answer; the oldest one gives way to the next.
pub const PENDING_CONTACTS_MAX: usize = 100;
/// New contact requests that are taken on one link: an honest node asks for one person only.
pub const NEW_REQUESTS_PER_LINK_MAX: u32 = 2;
/// Warnings that are shown together: a clock that is wrong brings one for every contact.
pub const WARNINGS_MAX: usize = 10;
/// Contact requests of ours that one unrecognised link is offered.
pub const REQUESTS_PER_LINK_MAX: usize = 64;
/// Chains of one log: two accounts of 32 devices, as many former ones; as many as a frontier names.
pub const AUTHORS_MAX: usize = 128;
/// Positions at the end of a chain that are kept at hand: what new entries name is seldom older.
pub const RECENT_MAX: usize = 32;
/// Deleted entries that have not come yet.
pub const DOOMED_MAX: usize = 1024;
/// Entries of one log whose bodies are asked for.
pub const MISSING_MAX: usize = 1000;

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
/// Bytes of entries sent on a link and not yet covered by the receiver's frontiers: half of what
/// the network queues for a link, and four commits of a receiver that is catching up, so that it
/// always has work while its frontier travels. At 100 ms this carries 20 MB/s.
pub const SYNC_WINDOW_BYTES: usize = 2 << 20;
/// What a log may take of that at first; it doubles whenever something arrives. The first frames
/// leave before more is read, and whoever takes nothing is not sent much.
pub const SYNC_WINDOW_BYTES_FIRST: usize = 2 * SYNC_FRAME_BYTES;
/// What logs may take of that together of which nobody knows yet whether anything arrives: the rest
/// is for those of which something does. Many get less than the above at first, so that each has
/// its chance.
pub const SYNC_UNKNOWN_BYTES: usize = SYNC_WINDOW_BYTES / 4 * 3;
/// Bytes beside the window for logs of which nothing was taken: sixteen that try again with one
/// frame. With the window it is less than the network queues for a link.
pub const SYNC_PROBE_BYTES: usize = SYNC_WINDOW_BYTES / 2;
/// Frames of one log before another one has its turn: what comes together costs the receiver one
/// signature for each chain, and one frontier.
pub const SYNC_TURN_FRAMES: usize = 4;
/// Rows read from the store at once where a whole chain is read.
pub const SYNC_ROWS: usize = 256;
/// Rows of each chain read at once for a frame of about 128: what the frame does not take is read
/// again for the next one.
pub const SYNC_AHEAD_ROWS: usize = 16;
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
/// Lifetime of a transport certificate: its end less this is the signer's clock.
pub const CERTIFICATE_MS: u64 = 24 * 60 * 60 * 1000;
/// How far ahead of our clock the signer of a certificate may be: a wrong date, noticed by its
/// messages, which are held from [`CLOCK_AHEAD_MS_MAX`] on.
pub const CERTIFICATE_AHEAD_MS_MAX: u64 = 48 * 60 * 60 * 1000;
/// How far behind our clock the signer of a certificate may be: what one allows, so does the other.
pub const CERTIFICATE_BEHIND_MS_MAX: u64 = CERTIFICATE_AHEAD_MS_MAX;
/// Links at one time; the transport has a lower limit of its own.
pub const LINKS_MAX: usize = 1024;
/// Refusals on one link after which it is closed.
pub const LINK_REFUSALS_MAX: u32 = 100;

/// First wait between two attempts to reach a contact.
pub const DIAL_MS_MIN: u64 = 500;
/// Longest wait between two attempts to reach a contact.
pub const DIAL_MS_MAX: u64 = 60_000;
/// A link that ends earlier counts as one more attempt, not as a success: who hangs up at once is
/// dialled ever more seldom.
pub const LINK_LASTS_MS: u64 = 10_000;

/// Older proofs of one account that are kept beside the newest: each names devices, or says of one
/// that it is out, or names accounts, as no other does.
pub const OLDER_PROOFS_MAX: usize = 16;
/// Bytes of all of them: four of the largest, and an honest one has a few KiB.
pub const OLDER_PROOF_BYTES_MAX: usize = 256 * 1024;
/// Bytes of an account proof in the self log, so that it fits an entry beside everything else.
pub const NOTE_PROOF_BYTES_MAX: usize = 48 * 1024;
/// Devices of a person that have names, former ones included.
pub const NAMED_DEVICES_MAX: usize = 128;
/// Frontiers of one device in one log that are kept: the newest, and older ones that prove more of a
/// chain that was cut since.
pub const FRONTIERS_KEPT_MAX: usize = 4;
/// Signers whose cuts of one device in one log are kept: both keys of each device of its account, and
/// the recovery key.
pub const CUT_SIGNERS_MAX: usize = 2 * ACCOUNT_DEVICES_MAX + 1;
/// Cuts of one signer among these: two with the earliest times, two with the latest.
pub const CUTS_PER_SIGNER_MAX: usize = 4;
/// Shortest time between two statements to our own devices of what was read in one log.
pub const READ_NOTE_MS_MIN: u64 = 30_000;
/// Shortest time between two rounds of handing on frontiers of others.
pub const RELAY_MS_MIN: u64 = 50;
/// Shortest time between two rounds of asking for bodies that came without.
pub const WANT_MS_MIN: u64 = 1_000;
/// Time between two such rounds after which nobody is asked again before a new session: each
/// waits twice as long as the one before.
pub const WANT_MS_MAX: u64 = 10 * 60 * 1_000;
/// How long a code for a new device serves.
pub const LINK_CODE_MS: u64 = 10 * 60 * 1000;
/// How long a code by mail serves: both systems of one computer are started within a day.
pub const LINK_CODE_BY_MAIL_MS: u64 = 24 * 60 * 60 * 1000;
/// Shortest pause between two answers to a guest by mail: it may ask again, and so may others who
/// have heard it.
pub const LINK_ANSWER_MS_MIN: u64 = 5_000;
/// First pause before a joining device puts what it has said again; what lies there still is not
/// stored twice.
pub const LINK_AGAIN_MS_MIN: u64 = 60_000;
/// Pause before a joining device looks again where only letters for later lie.
pub const LINK_LOOK_MS: u64 = 10_000;
/// Blobs that wait in the queue of a code: five guests who repeat themselves, and first letters.
pub const LINK_BLOBS_MAX: u16 = 64;
/// Bytes that wait in the queue of a code: five guests with 256 KiB each, and first letters.
pub const LINK_BYTES_MAX: u64 = 4 << 20;
/// How long the queue of a joining device lives on if it never opens another one: as long as a
/// server keeps a queue to which nobody comes.
pub const LINK_REPLY_MS: u64 = 30 * 24 * 60 * 60 * 1000;
/// Pause before it is looked again whether the queue of a device that merges can be read: its
/// account has not gone over yet.
pub const LINK_MOVES_MS: u64 = 10_000;
/// Joins that may come to nothing before a code is void.
pub const LINK_TRIES_MAX: u32 = 5;
/// Messages that a device may delete within [`TRASH_MS`] without the authority key.
pub const DELETIONS_MAX: usize = 49;
/// How long rests what another device deleted in bulk.
pub const TRASH_MS: u64 = 24 * 60 * 60 * 1000;

/// Messages in one page of history.
pub const HISTORY_MAX: usize = 1000;

/// Largest text that is sealed for another device in bytes: the largest blob of a mailbox.
pub const SEALED_PLAIN_BYTES_MAX: usize = 1 << 20;
/// Largest sealed message in bytes: the above and 170 bytes around it, rounded up.
pub const SEALED_BYTES_MAX: usize = SEALED_PLAIN_BYTES_MAX + 512;
/// Messages that are sealed in one group. A receiver finds the key of the 1,025th from the last it
/// knows (RFC 9420 leaves that to it); so each of these opens, whatever was lost or came first.
pub const GROUP_MESSAGES_MAX: u32 = 1024;
/// Largest state of a group in bytes: 1,023 keys of 50 bytes that wait for their message, and
/// 3,400 bytes around them, rounded up.
pub const GROUP_STATE_BYTES_MAX: usize = 64 * 1024;
/// How long before its time a package is taken: as far as the clocks of two devices may differ.
pub const PACKAGE_EARLY_MS_MAX: u64 = 2 * 24 * 60 * 60 * 1000;
/// How long after its time what was made with a package is opened: it lay in a mailbox for a week,
/// and the clocks of two devices may differ by two days.
pub const PACKAGE_LATE_MS_MAX: u64 = 9 * 24 * 60 * 60 * 1000;
/// How long a device is left the chance to come by itself before a letter is written to it: more is
/// said in one, and whoever is just connecting needs none.
pub const MAIL_WAIT_MS: u64 = 2_000;
/// First wait after a mailbox did not answer, or refused.
pub const MAIL_RETRY_MS_MIN: u64 = 5_000;
/// Longest wait after that.
pub const MAIL_RETRY_MS_MAX: u64 = 30 * 60 * 1000;
/// How long a server is asked to wait for something to come before it answers.
pub const MAIL_LISTEN_MS: u64 = 50_000;
/// Shortest time between two looks into an empty queue, if the server does not wait.
pub const FETCH_PAUSE_MS: u64 = 1_000;
/// Time over which the first requests of a start are spread, so that they do not come together.
pub const MAIL_SPREAD_MS: u64 = 2_000;
/// First pause before it is looked whether what was put is still there; doubles up to the longest.
pub const MAIL_PROBE_MS_MIN: u64 = 15 * 60 * 1000;
/// Longest pause before that.
pub const MAIL_PROBE_MS_MAX: u64 = 6 * 60 * 60 * 1000;
/// Age from which an entry of another device is put for one that lacks it: its writer does that
/// sooner, and whoever else has it would only do the same again.
pub const HAND_ON_MS: u64 = 60 * 60 * 1000;
/// Bytes of entries in one letter: with all around them it fits a blob of 256 KiB.
pub const LETTER_ENTRIES_BYTES: usize = 200 * 1024;
/// Bytes of proofs that a letter carries at most: 64 KiB of the largest, and some of older ones.
pub const LETTER_PROOFS_BYTES: usize = 256 * 1024;
/// Blobs that wait in one queue of ours: a week of talk of one who is away.
pub const QUEUE_BLOBS_MAX: u16 = 512;
/// Bytes that wait in one queue of ours: as many blobs of 16 KiB.
pub const QUEUE_BYTES_MAX: u64 = 8 << 20;
/// Blobs that wait in the queue for strangers: as many as a person wants to read.
pub const KNOCKS_MAX: u16 = 20;
/// Bytes that wait in the queue for strangers: each with the proof of an ordinary account.
pub const KNOCK_BYTES_MAX: u64 = KNOCKS_MAX as u64 * (16 << 10);
/// How long a queue is looked into that is given up, while somebody has not said to know of it: a
/// week for what lies there, and one for who is away.
pub const QUEUE_KEPT_MS: u64 = 14 * 24 * 60 * 60 * 1000;
/// How often the queue in which something lies may not answer before it counts as gone, where there is
/// another one.
pub const MAIL_MISSES_MAX: u32 = 3;
/// Time between two looks for keys that have served long enough.
pub const PURGE_MS: u64 = 60 * 60 * 1000;
/// How long a node that has started looks into its queues, if not all answer, before keys go that what
/// lies there may want.
pub const PURGE_WAIT_MS: u64 = 10 * 60 * 1000;
/// How long a group is read in after a letter of it was opened: a day in which it is written in, a week
/// in which a letter lies, and as much again.
pub const GROUP_KEPT_MS: u64 = 16 * 24 * 60 * 60 * 1000;
/// How long after its last word a link that is dead may seem alive: transports notice sooner.
pub const LINK_SURE_MS: u64 = 60 * 1000;
/// Pause between two answers to the marker of a queue.
pub const MARKER_PAUSE_MS: u64 = 10 * 60 * 1000;
/// Bytes of frontiers in one letter: with proofs and entries at their most it fits the largest blob.
pub const LETTER_FRONTIERS_BYTES: usize = 256 * 1024;
/// How long a group is written in before another one takes its place (spec 09 R7).
pub const GROUP_MS: u64 = 24 * 60 * 60 * 1000;
/// Groups of one other device in which is read: the one in use, and those of letters on their way.
pub const GROUPS_READ_MAX: usize = 4;
/// Packages of one other device that are kept: a week of daily groups.
pub const STOCK_MAX: usize = 8;
/// Packages that another device has of ours and did not use; a letter brings it up to these. As some may
/// not have come there is one more each day, up to [`STOCK_MAX`].
pub const PACKAGES_OUT: usize = 3;
/// Largest private half of a package in bytes.
pub const PACKAGE_SECRET_BYTES_MAX: usize = 8192;
/// How long a package serves to begin with: twice the days that a server keeps what is put.
pub const PACKAGE_MS: u64 = 14 * 24 * 60 * 60 * 1000;
/// Age from which the last resort is replaced.
pub const LAST_RESORT_MS: u64 = 7 * 24 * 60 * 60 * 1000;
/// Age at which its private half goes: what was put on its last day has come or is gone.
pub const LAST_RESORT_KEPT_MS: u64 = PACKAGE_MS;
/// Age at which the private half of a package goes that was never used.
pub const ONE_TIME_KEPT_MS: u64 = PACKAGE_MS + LAST_RESORT_MS;

/// Days left in a schedule below which a new one is announced: a contact who is away for a week still
/// has three days to find the device.
pub const ANNOUNCED_DAYS_MIN: usize = 10;
/// By how much the clock must have been set for records to be made anew.
pub const CLOCK_SET_MS: u64 = 10 * 60 * 1000;
/// Time between two looks at whether it was.
pub const CLOCK_LOOK_MS: u64 = 5 * 60 * 1000;
/// Time between two publications of our records: six times in the life of one.
pub const PUBLISH_MS: u64 = 4 * 60 * 60 * 1000;
/// Least time between two times that the keys of our records are made anew because of what became of
/// the devices of others.
pub const REKEY_MS: u64 = 60 * 60 * 1000;
/// How far apart devices publish that do so for the same reason, such as the end of a day.
pub const PUBLISH_SPREAD_MS: u64 = 60 * 60 * 1000;
/// Different records under one key that are dialled in one round of asking.
pub const DIALLED_RECORDS_MAX: usize = 8;
/// Time without a change of our addresses after which records are made: relays answer one by one.
pub const PUBLISH_WAIT_MS: u64 = 200;
/// First wait before records of somebody are asked for again: who starts at the same time has left
/// theirs by then.
pub const SEARCH_MS_MIN: u64 = 1_000;
/// Longest wait before records of somebody are asked for again.
pub const SEARCH_MS_MAX: u64 = 10 * 60 * 1000;
/// Time after which those with whom there is a session are asked too.
pub const SEEK_WAIT_MS: u64 = 10_000;
/// Time between two rounds of asking them.
pub const SEEK_MS: u64 = 10 * 60 * 1000;
/// Keys that are looked for on one link in [`SEEK_MS`].
pub const SEEKS_PER_LINK_MAX: u32 = 64;
/// Records of others that are kept: two days of a thousand devices.
pub const RECORDS_KEPT_MAX: usize = 2048;
/// People who are looked for by an id at one time: each costs four records a round.
pub const SOUGHT_MAX: usize = 16;
