//! Does the engine hold its rules, whatever comes? Alice's engine has a session with Bob's phone;
//! a list of operations then does what an honest peer, a liar, a stranger or a person may do.

pub(crate) mod checks;
mod forge;
pub mod operation;
pub(crate) mod seeds;
pub mod setting;
mod world;

use crate::source::Source;

use self::{operation::Operation, world::World};

/// Operations in one run.
const OPERATIONS_MAX: usize = 24;

/// Runs a list of operations and checks the rules after each.
pub fn engine(data: &[u8]) {
    let mut source = Source::new(data);
    let mut world = World::new();
    for _ in 0..OPERATIONS_MAX {
        let Some(operation) = Operation::read(&mut source) else { break };
        world.carry_out(operation);
    }
    world.finish();
}
