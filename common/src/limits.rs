//! How much is too much? Every bound of the formats, with its reason.

/// Largest entry envelope in bytes: 8 parents of at most 78 bytes, fixed fields below 300 bytes,
/// headers and signature below 200 bytes, rounded up with room for extensions.
pub const ENTRY_ENVELOPE_BYTES_MAX: usize = 2048;
/// Largest account envelope (genesis, acknowledgement, operation) in bytes.
pub const ACCOUNT_ENVELOPE_BYTES_MAX: usize = 2048;
/// Largest frontier envelope in bytes: 2 × 128 marks of at most 78 bytes and the fixed fields.
pub const FRONTIER_ENVELOPE_BYTES_MAX: usize = 24 * 1024;
/// Largest contact request envelope in bytes: an account proof of 32 KiB, a name, a greeting and
/// 16 addresses of 256 bytes.
pub const REQUEST_ENVELOPE_BYTES_MAX: usize = 40 * 1024;
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

/// Devices an account may have had: enough for a life, small enough for a proof of a few KiB.
pub const ACCOUNT_DEVICES_MAX: usize = 32;
/// Envelopes in an account proof: the genesis and its operations.
pub const ACCOUNT_PROOF_ENVELOPES_MAX: usize = 32;
/// Bytes of an account proof in all: 32 envelopes of about 700 bytes, some naming eight others.
pub const ACCOUNT_PROOF_BYTES_MAX: usize = 32 * 1024;
/// Previous operations an account operation may name.
pub const OPERATION_PREVIOUS_MAX: usize = 8;

/// Largest frame on a link in bytes: a batch of entries and the largest single entry fit.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
/// Entries in one frame.
pub const FRAME_ENTRIES_MAX: usize = 1024;
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
/// Largest link in characters: an account proof in base64 and addresses.
pub const LINK_CHARS_MAX: usize = 64 * 1024;

/// Depth to which unknown extension values are followed by the decoder.
pub const EXTENSION_DEPTH_MAX: usize = 4;
/// Map keys below this are critical: a reader that does not know one refuses the map.
pub const CRITICAL_KEYS: u64 = 128;
/// Map keys from here on do not exist.
pub const KEYS_END: u64 = 256;
