//! Do the rules of spec 02 come out as it says? Pictures of histories, a slow model, random ones.
//!
//! | file | answers |
//! |---|---|
//! | `notation` | how is a history written down as text? |
//! | `pictures` | how does each history come out? |
//! | `lists` | which list does a device sign when it is asked to? |
//! | `merging` | how do two accounts become one? |
//! | `alias` | which account does each one end up as? |
//! | `hostile` | what do envelopes do that break a rule by their form? |
//! | `absorbing` | what do hostile devices try with moves and absorbs? |
//! | `model` | what does the spec say, slowly? |
//! | `properties` | does it hold for histories that nobody thought of? |

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "account/absorbing.rs"]
mod absorbing;
#[path = "account/alias.rs"]
mod alias;
#[path = "account/hostile.rs"]
mod hostile;
#[path = "account/lists.rs"]
mod lists;
#[path = "account/merging.rs"]
mod merging;
#[path = "account/model.rs"]
mod model;
#[path = "account/notation.rs"]
mod notation;
#[path = "account/pictures.rs"]
mod pictures;
#[path = "account/properties.rs"]
mod properties;
