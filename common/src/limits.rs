//! How much is too much? Every bound of the formats, with its reason.

/// Largest entry envelope in bytes: 8 parents of at most 78 bytes, fixed fields below 300 bytes,
/// headers and signature below 200 bytes, rounded up with room for extensions.
pub const ENTRY_ENVELOPE_BYTES_MAX: usize = 2048;
/// Largest account envelope in bytes, a seat: 16 acknowledgements, 64 dropped devices and 16
/// absorbed accounts of 34 bytes.
pub const ACCOUNT_ENVELOPE_BYTES_MAX: usize = 12 * 1024;
/// Largest genesis, acknowledgement, vote, retirement and moved-to in bytes: at most 300,
/// rounded up with room for extensions.
pub const OPERATION_ENVELOPE_BYTES_MAX: usize = 512;
/// Largest device addition in bytes: an acknowledgement and 210 bytes around it.
pub const ADDITION_ENVELOPE_BYTES_MAX: usize = 1024;
/// Largest cut in bytes: four histories of 53 bytes and 300 bytes around them, rounded up with room
/// for extensions.
pub const CUT_ENVELOPE_BYTES_MAX: usize = 1024;
/// Histories of one device in one log that are kept beside each other: a device with a second one is
/// proven to lie, more only take room.
pub const HISTORIES_MAX: usize = 4;
/// Largest absorbs in bytes: 8 devices of 34 bytes and 240 bytes around them, rounded up with room
/// for extensions.
pub const ABSORBS_ENVELOPE_BYTES_MAX: usize = 1024;
/// Largest checkpoint in bytes: 16 devices of 69 bytes and 210 bytes around them. Two lists that
/// both have nine of sixteen signatures fit [`ACCOUNT_BASE_BYTES_MAX`].
pub const CHECKPOINT_ENVELOPE_BYTES_MAX: usize = 1536;
/// Largest frontier envelope in bytes: 2 × 128 marks of at most 78 bytes and the fixed fields.
pub const FRONTIER_ENVELOPE_BYTES_MAX: usize = 24 * 1024;
/// Largest contact request envelope in bytes: an account proof of 66,307 bytes with its lengths, a
/// name, a greeting and 16 addresses of 256 bytes, 71,900 in all.
pub const REQUEST_ENVELOPE_BYTES_MAX: usize = 72 * 1024;
/// Largest transport certificate envelope in bytes.
pub const CERTIFICATE_ENVELOPE_BYTES_MAX: usize = 512;

/// Parents an entry may name; more heads than this are joined by later entries.
pub const PARENTS_MAX: usize = 8;
/// Marks (one per device) a frontier may carry in each of its two parts.
pub const FRONTIER_MARKS_MAX: usize = 128;
/// Largest entry body in bytes, salt included: 60,000 bytes of text and room for the fields around.
pub const BODY_BYTES_MAX: usize = 61_440;
/// Largest text of one message in bytes of UTF-8.
pub const TEXT_BYTES_MAX: usize = 60_000;
/// Bytes of random salt in front of a body, so that a short body cannot be guessed from its hash.
pub const BODY_SALT_BYTES: usize = 16;
/// Sequence numbers stay below 2^53 so that every JSON reader can hold them.
pub const SEQ_MAX: u64 = (1 << 53) - 1;

/// Devices of an account: as many settled and added ones as there can be.
pub const ACCOUNT_DEVICES_MAX: usize = SETTLED_DEVICES_MAX + ADDITIONS_MAX;
/// Devices that a seat or a checkpoint names: more than a person uses, few enough to vote.
pub const SETTLED_DEVICES_MAX: usize = 16;
/// Additions that count on one base: what one checkpoint could settle.
pub const ADDITIONS_MAX: usize = 16;
/// Additions of one inviter that count on one base: half of them, so that one leaves room.
pub const ADDITIONS_PER_INVITER_MAX: usize = 8;
/// Bytes of the additions that count on one base: 16 of the largest, or 10 by an absorbs of the
/// largest size for each.
pub const ADDITIONS_BYTES_MAX: usize = ADDITIONS_MAX * ADDITION_ENVELOPE_BYTES_MAX;
/// Devices that one absorbs names: as many as its signer may take in.
pub const ABSORBED_DEVICES_MAX: usize = ADDITIONS_PER_INVITER_MAX;
/// Accounts that an account has absorbed: more than a person begins by mistake.
pub const ABSORBED_ACCOUNTS_MAX: usize = 16;
/// Votes of one device that count on one base: one about each device.
pub const VOTES_PER_DEVICE_MAX: usize = ACCOUNT_DEVICES_MAX;
/// Devices that a seat says are out: as many as two full accounts.
pub const DROPPED_DEVICES_MAX: usize = 64;
/// Checkpoints on the way from one seat: one a month for five years.
pub const CHECKPOINTS_MAX: usize = 64;

/// Envelopes in an account proof: the way of 160, and 94 on the last base.
pub const ACCOUNT_PROOF_ENVELOPES_MAX: usize = 256;
/// Bytes of an account proof: what a frame, a link and a record carry without thinking.
pub const ACCOUNT_PROOF_BYTES_MAX: usize = 64 * 1024;
/// Envelopes of an account proof behind genesis, seat and the way: those on the last base.
pub const ACCOUNT_BASE_ENVELOPES_MAX: usize = 94;
/// Bytes of the same: [`ADDITIONS_BYTES_MAX`], and 12 KiB for votes, retirements, absorbs and
/// waiting signatures, of which about 50 fit; or two lists with nine signatures each.
pub const ACCOUNT_BASE_BYTES_MAX: usize = 28 * 1024;
/// Envelopes on the way from the seat to the last base.
pub const ACCOUNT_WAY_ENVELOPES_MAX: usize =
    ACCOUNT_PROOF_ENVELOPES_MAX - 2 - ACCOUNT_BASE_ENVELOPES_MAX;
/// Bytes of the same and of the seat.
pub const ACCOUNT_WAY_BYTES_MAX: usize =
    ACCOUNT_PROOF_BYTES_MAX - OPERATION_ENVELOPE_BYTES_MAX - ACCOUNT_BASE_BYTES_MAX;

/// Messages that one entry of the self log may delete; more need an authority key.
pub const DELETED_ENTRIES_MAX: usize = 49;
/// Largest order to delete everything in bytes: 128 marks of at most 78 bytes, fixed fields and
/// headers below 300 bytes, rounded up with room for extensions.
pub const CLEAR_ENVELOPE_BYTES_MAX: usize = 12 * 1024;
/// Statements about a contact's validity that one statement may replace: more than devices will
/// ever disagree at one time.
pub const REPLACED_MAX: usize = 16;

/// Largest code for a new device in characters: keys, 16 addresses and a queue in base64.
pub const LINK_CODE_CHARS_MAX: usize = 8 * 1024;
/// Largest message of a joining device in bytes: a name, a queue and fields around them.
pub const LINK_MESSAGE_BYTES_MAX: usize = 1024;
/// Largest consent of a joining device in bytes: a message and the proof of the account that it
/// brings along.
pub const LINK_ACCEPT_BYTES_MAX: usize = 68 * 1024;
/// Largest offer to a joining device in bytes: an account proof of 64 KiB and fields around it.
pub const LINK_OFFER_BYTES_MAX: usize = 68 * 1024;

/// Largest frame on a link in bytes: a batch of entries and the largest single entry fit.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
/// Entries in one frame.
pub const FRAME_ENTRIES_MAX: usize = 1024;
/// Account proofs in one frame.
pub const FRAME_ACCOUNTS_MAX: usize = 15;
/// Accounts with their heads in one frame: all contacts of a person.
pub const FRAME_HEADS_MAX: usize = 1024;
/// Devices with their addresses in one frame.
pub const FRAME_HINTS_MAX: usize = 128;
/// Frontiers in one frame.
pub const FRAME_FRONTIERS_MAX: usize = 32;
/// Recognition tags in a hello: one for each known device, padded; 64 KiB at 16 bytes each.
pub const HELLO_TAGS_MAX: usize = 4096;
/// Hellos are padded to a multiple of this many tags, so that their size says little.
pub const HELLO_TAGS_STEP: usize = 64;
/// Addresses a device may tell about itself.
pub const ADDRESSES_MAX: usize = 16;
/// Largest address in bytes of text.
pub const ADDRESS_BYTES_MAX: usize = 256;
/// Largest transport id (libp2p peer id) in bytes.
pub const TRANSPORT_ID_BYTES_MAX: usize = 64;

/// Largest name of a person in bytes of UTF-8.
pub const NAME_BYTES_MAX: usize = 64;
/// Largest greeting of a contact request in bytes of UTF-8.
pub const GREETING_BYTES_MAX: usize = 1024;
/// Largest link in characters: an account proof, a name, addresses and queues, 72,000 bytes, in
/// base64.
pub const LINK_CHARS_MAX: usize = 96 * 1024;

/// Largest name of a server, with its port, in bytes: the longest name of DNS has 253.
pub const AUDIENCE_BYTES_MAX: usize = 256;
/// Largest code of a refusal in bytes of text.
pub const CODE_BYTES_MAX: usize = 32;
/// Largest sentence of a refusal in bytes of UTF-8.
pub const SENTENCE_BYTES_MAX: usize = 256;
/// How far the time of a request may be from the server's, in milliseconds: what a badly set clock
/// and a slow network make together. A client further off is told the time.
pub const REQUEST_AGE_MS_MAX: u64 = 5 * 60 * 1000;
/// Largest request to a service without lists in bytes: an audience of 256, a hash, fixed fields,
/// headers and signature of 230, rounded up with room for extensions.
pub const SHORT_ENVELOPE_BYTES_MAX: usize = 1024;
/// Largest opening of a queue in bytes: a card, an access word, and a request of
/// [`SHORT_ENVELOPE_BYTES_MAX`].
pub const OPEN_ENVELOPE_BYTES_MAX: usize = CARD_BYTES_MAX + 1024;
/// Largest fetch in bytes: 512 numbers of at most 9 bytes and a request of
/// [`SHORT_ENVELOPE_BYTES_MAX`].
pub const FETCH_ENVELOPE_BYTES_MAX: usize = FETCH_ITEMS_MAX * 9 + SHORT_ENVELOPE_BYTES_MAX;
/// Largest blob in bytes: what the largest size class holds.
pub const BLOB_BYTES_MAX: usize = 1 << 20;
/// Largest body of a put in bytes: envelope, blob, and 9 bytes of heads.
pub const PUT_BODY_BYTES_MAX: usize = 9 + SHORT_ENVELOPE_BYTES_MAX + BLOB_BYTES_MAX;
/// Largest card of a queue in bytes: a few key packages for sessions.
pub const CARD_BYTES_MAX: usize = 16 * 1024;
/// Largest access word in bytes of UTF-8.
pub const ACCESS_BYTES_MAX: usize = 64;
/// Items in one answer to a fetch, and numbers that one fetch deletes.
pub const FETCH_ITEMS_MAX: usize = 512;
/// Bytes of the blobs in one answer, unless it is one blob: as much as the largest blob.
pub const FETCH_BLOB_BYTES_MAX: usize = BLOB_BYTES_MAX;
/// Largest answer to a fetch in bytes: blobs, 15 bytes around each, 64 for the other fields and 1 KiB
/// for extensions.
pub const FETCHED_BYTES_MAX: usize = FETCH_BLOB_BYTES_MAX + FETCH_ITEMS_MAX * 15 + 1088;
/// Longest wait of a fetch in milliseconds: shorter than what proxies cut off.
pub const FETCH_WAIT_MS_MAX: u64 = 60_000;
/// Mailboxes of a person: more than one, so that one may fail.
pub const MAILBOXES_MAX: usize = 4;
/// Queues of an account's devices that its link names, for who wants to become a contact.
pub const KNOCKS_PER_LINK_MAX: usize = 4;
/// Largest address of a mailbox in bytes: a host name of 253 bytes would be one of a kind.
pub const URL_BYTES_MAX: usize = 256;
/// Largest KeyPackage of MLS in bytes: two X-Wing keys of 1,216 bytes, two signatures and 120 bytes
/// around them, 2,676 in all, rounded up with room for extensions.
pub const PACKAGE_BYTES_MAX: usize = 4096;
/// Largest Welcome of MLS in bytes: a tree with the keys of two devices, an X-Wing ciphertext, two
/// signatures and what is around them, 4,227 in all; with an update path there is a third key.
pub const WELCOME_BYTES_MAX: usize = 8192;
/// Largest name of a group in bytes: 32 random ones, and what other implementations may choose.
pub const GROUP_ID_BYTES_MAX: usize = 64;
/// KeyPackages in one letter: a week of daily groups.
pub const PACKAGES_PER_LETTER_MAX: usize = 8;
/// Groups that a letter says to have joined: as many as are kept of one device.
pub const JOINED_MAX: usize = 4;
/// Frames in one letter.
pub const LETTER_FRAMES_MAX: usize = 64;
/// Largest letter in bytes: what the largest blob carries.
pub const LETTER_BYTES_MAX: usize = 1 << 20;

/// Largest record of the distributed hash table in bytes (spec 10 R1).
pub const RECORD_BYTES_MAX: usize = 1024;
/// Bytes of what is sealed in a record, padding included: two relayed addresses of 165 bytes, ten
/// others of 40, and their lengths. With seal, signature and headers it is below
/// [`RECORD_BYTES_MAX`], which leaves 60 bytes for extensions.
pub const RECORD_PLAIN_BYTES: usize = 768;
/// Life of a record in milliseconds.
pub const RECORD_AGE_MS_MAX: u64 = 24 * 60 * 60 * 1000;
/// Days whose keys a device announces together: a month, so that a contact who was away for three
/// weeks still finds it.
pub const ANNOUNCED_DAYS_MAX: usize = 31;
/// Records that lie under one id on a day: one for each of a few devices.
pub const FIND_SLOTS: u8 = 4;
/// Records, and keys of records, in one frame.
pub const FRAME_RECORDS_MAX: usize = 16;
/// Largest sealed card in a frame in bytes: as a link, not in base64.
pub const CARD_SEALED_BYTES_MAX: usize = 72 * 1024 + 40;

/// Addresses of bootstraps that a person has chosen: enough that some may fail, each with two ways in.
pub const BOOTSTRAPS_MAX: usize = 16;

/// Depth to which unknown extension values are followed by the decoder.
pub const EXTENSION_DEPTH_MAX: usize = 4;
/// Map keys below this are critical: a reader that does not know one refuses the map.
pub const CRITICAL_KEYS: u64 = 128;
/// Map keys from here on do not exist.
pub const KEYS_END: u64 = 256;
