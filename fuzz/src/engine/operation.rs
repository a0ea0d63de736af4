//! What may happen to Alice's engine?

use crate::source::{Blob, Form, Source};

macro_rules! forms {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl Form for $name {
            fn read(source: &mut Source<'_>) -> Self {
                Self { $($field: Form::read(source),)* }
            }

            fn write(&self, out: &mut Vec<u8>) {
                $(self.$field.write(out);)*
            }
        }
    )*};
}

forms! {
    /// A change to the bytes of a frame.
    Edit {
        /// What is done: see `world`.
        what: u8,
        /// Where.
        at: u16,
        /// With which byte.
        byte: u8,
    }

    /// An entry to be signed; all zero is what an honest device writes next.
    EntryPlan {
        /// Whose: see `forge`.
        device: u8,
        /// Number in the chain.
        seq: u8,
        /// Entry before.
        prev: u8,
        /// Which other devices' entries it names.
        parents: u8,
        /// Depth.
        depth: u8,
        /// Clock.
        hlc: u8,
        /// Kind.
        kind: u8,
        /// What the body holds.
        body: u8,
        /// What is wrong with it.
        flaws: u8,
    }

    /// A mark in a frontier; all zero is true.
    MarkPlan {
        /// Which entry that exists.
        entry: u8,
        /// What is wrong with the mark.
        flaws: u8,
    }
}

macro_rules! operations {
    ($($(#[$doc:meta])* $number:literal $name:ident {
        $($(#[$field_doc:meta])* $field:ident: $type:ty,)*
    })*) => {
        /// One thing that happens.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Operation {
            $($(#[$doc])* $name { $($(#[$field_doc])* $field: $type,)* },)*
        }

        impl Operation {
            /// Reads one; `None` at the end.
            pub fn read(source: &mut Source<'_>) -> Option<Self> {
                let number = source.byte()?;
                Some(match number % Self::COUNT {
                    $($number => Self::$name { $($field: Form::read(source),)* },)*
                    _ => return None,
                })
            }

            /// Writes it.
            pub fn write(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$name { $($field,)* } => {
                        out.push($number);
                        $($field.write(out);)*
                    })*
                }
            }

            const COUNT: u8 = [$($number,)*].len() as u8;
        }
    };
}

operations! {
    /// Time passes.
    0 Tick {
        /// How much.
        ms: u16,
    }
    /// Alice's wall clock is set.
    1 Clock {
        /// Ahead of the true time.
        minutes: i16,
    }
    /// Any bytes come as a frame.
    2 Raw {
        /// On which link.
        link: u8,
        /// The bytes.
        bytes: Blob,
    }
    /// A frame that was genuine comes with changes, or as it was.
    3 Changed {
        /// On which link.
        link: u8,
        /// Which frame.
        frame: u8,
        /// The changes.
        edits: Vec<Edit>,
    }
    /// Signed entries come.
    4 Entries {
        /// On which link.
        link: u8,
        /// The entries.
        entries: Vec<EntryPlan>,
    }
    /// Entries that were made before come, in another order.
    5 Again {
        /// On which link.
        link: u8,
        /// Which entries.
        which: Vec<u8>,
        /// Whether their bodies are kept back.
        bare: bool,
    }
    /// A long chain comes, of which the first entry is kept back.
    6 Flood {
        /// On which link.
        link: u8,
        /// Whose chain.
        device: u8,
        /// How many entries.
        count: u16,
        /// Whether the last one is signed, and whether each comes in a frame of its own.
        manner: u8,
    }
    /// A signed frontier comes.
    7 Frontier {
        /// On which link.
        link: u8,
        /// Whose.
        device: u8,
        /// Whether an answer is wanted, and of which log it is.
        manner: u8,
        /// What was received.
        received: Vec<MarkPlan>,
        /// What was read.
        read: Vec<MarkPlan>,
    }
    /// Somebody connects.
    8 LinkUp {
        /// Decides the transport ids.
        peer: u8,
    }
    /// A link goes down.
    9 LinkDown {
        /// Which.
        link: u8,
    }
    /// A hello with the true tag of a device comes.
    10 Hello {
        /// On which link.
        link: u8,
        /// Whose.
        device: u8,
        /// How many other tags.
        others: u8,
    }
    /// The certificate of a device comes.
    11 Certificate {
        /// On which link.
        link: u8,
        /// Whose.
        device: u8,
        /// What is wrong with it.
        flaws: u8,
    }
    /// A contact request comes.
    12 Request {
        /// On which link.
        link: u8,
        /// Whose.
        device: u8,
        /// What is wrong with it.
        flaws: u8,
        /// What the sender says.
        text: Blob,
    }
    /// Alice wants something.
    13 Command {
        /// What: see `world`.
        what: u8,
        /// With whom.
        person: u8,
        /// Decides details.
        choice: u8,
        /// A text or name.
        text: Blob,
    }
    /// Bob wants something of his genuine engine.
    14 Peer {
        /// What: see `world`.
        what: u8,
        /// A text.
        text: Blob,
    }
    /// Frames are carried between Alice and Bob's genuine engine.
    15 Carry {
        /// How many.
        count: u8,
        /// Which are lost, doubled or changed.
        fate: u8,
    }
    /// Alice's node starts again and meets Bob again.
    16 Restart {
        /// Whether from an old backup.
        backup: bool,
    }
    /// Alice's addresses change.
    17 Listening {
        /// How many there are.
        count: u8,
    }
    /// There is somewhere to look for others, or not any more.
    18 Finding {
        /// Whether there is.
        is_on: bool,
    }
    /// A record is found, that Bob left, with changes or as it was.
    19 Found {
        /// Under which of the keys that Alice asks for; of 0xff under its own.
        key: u8,
        /// Which.
        record: u8,
        /// The changes.
        edits: Vec<Edit>,
    }
}
