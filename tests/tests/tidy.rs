//! Does the tree keep its own rules? What no compiler and no linter checks.
#![expect(clippy::unwrap_used, reason = "a test says where it fails")]

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

/// Lines that a source file may have before it is a room too big to know.
const FILE_LINES_MAX: usize = 600;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn tracked(endings: &[&str]) -> Vec<PathBuf> {
    let output = Command::new("git").arg("ls-files").current_dir(root()).output().unwrap();
    assert!(output.status.success(), "git lists the files");
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter(|name| endings.iter().any(|ending| name.ends_with(ending)))
        .map(|name| root().join(name))
        .filter(|path| path.exists())
        .collect()
}

#[test]
fn files_stay_small_and_modules_have_names() {
    for path in tracked(&[".rs", ".ts", ".tsx", ".css"]) {
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= FILE_LINES_MAX, "{} has {lines} lines", path.display());
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap();
        let vague = ["mod", "utils", "util", "helpers", "misc"];
        assert!(!vague.contains(&stem), "{} says nothing by its name", path.display());
    }
}

#[test]
fn every_source_file_says_which_question_it_answers() {
    for path in tracked(&[".rs"]) {
        let text = std::fs::read_to_string(&path).unwrap();
        let first = text.lines().next().unwrap_or_default();
        let fine = first.starts_with("//!") || first.starts_with("#!");
        assert!(fine, "{} begins with {first:?}", path.display());
    }
}

#[test]
fn nothing_is_left_to_do() {
    for path in tracked(&[".rs"]) {
        let text = std::fs::read_to_string(&path).unwrap();
        for word in [concat!("todo", "!("), concat!("unimpl", "emented!("), concat!("FIX", "ME")] {
            assert!(!text.contains(word), "{} holds {word}", path.display());
        }
    }
}

/// The directions of ARCHITECTURE.md: who of ours may know whom.
#[test]
fn crates_know_only_whom_they_may() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--locked", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let ours: BTreeSet<&str> = packages.iter().map(|p| p["name"].as_str().unwrap()).collect();
    let mut seen = 0;
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let allowed: &[&str] = match name {
            "kith-common" => &[],
            "kith-core" | "kith-server" | "kith-net" => &["kith-common"],
            "kith" => &["kith-common", "kith-core", "kith-net"],
            "bootstrap" => &["kith-common", "kith-net", "kith-server"],
            "kith-tests" => {
                &["kith-common", "kith-core", "kith-net", "kith", "kith-server", "mailbox-server"]
            }
            _ => &["kith-common", "kith-server"],
        };
        for dependency in package["dependencies"].as_array().unwrap() {
            let on = dependency["name"].as_str().unwrap();
            if ours.contains(on) {
                seen += 1;
                assert!(allowed.contains(&on), "{name} must not know {on}");
            }
        }
    }
    assert!(seen >= 5, "the directions were really read");
}

#[test]
fn the_core_has_no_way_to_the_outside() {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "-p",
            "kith-core",
            "-e",
            "normal",
            "--prefix",
            "none",
            "--locked",
            "--offline",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(tree.contains("kith-common"), "the tree was really read");
    for banned in ["tokio", "libp2p", "axum", "rusqlite", "getrandom", "rand", "async-trait"] {
        let found = tree.lines().any(|line| line.split_whitespace().next() == Some(banned));
        assert!(!found, "kith-core depends on {banned}");
    }
}
