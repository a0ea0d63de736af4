//! What must be true? One file for each promise; safety after every commit, the rest after healing.

mod bounds;
mod entitled;
mod healing;
mod outcome;
mod ticks;
