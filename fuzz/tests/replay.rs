//! Does everything that fuzzing has found still hold? Seeds and corpora, on any toolchain.

use std::{fs, path::Path};

use kith_fuzz::{TARGETS, engine::operation::Operation, run, seeds::seeds, source::Source};

fn folder(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Runs an input; a failure says which.
fn replay(target: &str, name: &str, input: &[u8]) {
    let outcome = std::panic::catch_unwind(|| run(target, input));
    assert!(outcome.is_ok(), "{target} fails on {name}");
}

#[test]
fn every_seed_holds() {
    for (target, seeds) in seeds() {
        assert!(!seeds.is_empty());
        for (number, seed) in seeds.iter().enumerate() {
            replay(target, &format!("seed {number}"), seed);
        }
    }
}

#[test]
fn every_input_of_the_corpora_holds() {
    for (target, _) in TARGETS {
        let files = fs::read_dir(folder("corpus").join(target)).expect("a corpus for each target");
        let files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
        assert!(!files.is_empty(), "{target}");
        for file in files {
            replay(target, &file.display().to_string(), &fs::read(&file).expect("a file"));
        }
    }
}

#[test]
fn every_target_has_seeds_and_a_binary() {
    let seeded: Vec<&str> = seeds().into_iter().map(|(target, _)| target).collect();
    let named: Vec<&str> = TARGETS.iter().map(|(target, _)| *target).collect();
    assert_eq!(seeded, named);
    for target in named {
        let binary = folder("fuzz_targets").join(format!("{target}.rs"));
        let text = fs::read_to_string(binary).expect("a binary for each target");
        assert!(text.contains(&format!("run(\"{target}\", data)")));
    }
}

#[test]
fn operations_come_back() {
    let (_, runs) = seeds().pop().expect("the engine is last");
    for run in runs {
        let (mut source, mut again) = (Source::new(&run), Vec::new());
        while let Some(operation) = Operation::read(&mut source) {
            operation.write(&mut again);
        }
        assert_eq!(again, run);
    }
}
