//! The rules and the engine of a Kith node, free of I/O.
//!
//! [`Engine`](engine::Engine) takes one [`Input`](engine::Input) at a time and answers with
//! [`Output`](engine::Output)s; time, randomness and the store are handed in, so that a whole
//! network of engines runs in one deterministic simulation.
//!
//! | file | answers |
//! |---|---|
//! | `engine` | what happens when something happens? |
//! | `person` | which accounts are one person? |
//! | `bygone` | whose entries remain though a seat forgot their device? |
//! | `contacts` | whom do we know, and how well? |
//! | `cuts` | how far is a former device believed in a log? |
//! | `names` | what may somebody be called? |
//! | `linking` | how does a device join? |
//! | `log` | which entries belong in, and where? |
//! | `delivery` | who has received what? |
//! | `session` | who is at the other end of a link? |
//! | `sync` | what does the other end lack? |
//! | `mail` | how are devices reached that are not there? |
//! | `finding` | how are devices found that may be anywhere? |
//! | `conversation` | what do we keep of one conversation? |
//! | `mls` | how is what waits in a mailbox sealed for one device? |
//! | `profile` | what does the node know about itself? |
//! | `dial` | when do we try to reach somebody? |
//! | `view` | what does a person see? |
//! | `store` | where is it kept? |
//! | `refusal` | what did we not accept? |
//! | `warnings` | what is a person to be told about contacts' devices? |
//! | `limits` | how much is too much? |

pub mod bygone;
pub mod contacts;
mod conversation;
mod cuts;
pub mod delivery;
mod dial;
pub mod engine;
pub mod finding;
pub mod limits;
pub mod linking;
pub mod log;
pub mod mail;
pub mod mls;
pub mod names;
pub mod person;
pub mod profile;
pub mod refusal;
mod session;
pub mod store;
mod sync;
pub mod view;
pub mod warnings;
