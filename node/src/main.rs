//! The `kith` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    kith::cli::main()
}
