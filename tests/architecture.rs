//! Rooms call only downwards: reads the `use` lines and paths of every source file.

use std::fs;
use std::path::{Path, PathBuf};

/// From the ground up. A room may use those above it in this list, and itself.
const FLOORS: &[&[&str]] = &[
    &["ticks", "sync", "decision", "error"],
    &["clock", "counters", "limit", "parker", "queue", "striped"],
    &["policy"],
    &["classes"],
    &["account"],
    &["table"],
    &["limiter", "bucket", "history", "access", "pacing"],
    &["python", "capi"],
    &["extension"],
];

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&room))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// The room that a file belongs to: the first part of its path below src.
fn room_of(path: &Path) -> String {
    let inside = path.strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// What a line names after `crate::`. Doc comments may point anywhere.
fn named(line: &str) -> impl Iterator<Item = &str> {
    let code = if line.trim_start().starts_with("//") { "" } else { line };
    code.split("crate::").skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        &rest[..end]
    })
}

#[test]
fn rooms_call_only_downwards() {
    let mut files = Vec::new();
    sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut files);
    assert!(files.len() > 20);
    let mut wrong = Vec::new();
    for file in files.iter().filter(|file| !file.ends_with("lib.rs")) {
        let room = room_of(file);
        let own = floor(&room).unwrap_or_else(|| panic!("{room} has no floor"));
        let text = fs::read_to_string(file).unwrap();
        for (number, line) in text.lines().enumerate() {
            for other in named(line).filter(|other| **other != room) {
                // Names at the crate's root (constants, re-exports) begin with a capital.
                let is_room = other.chars().next().is_some_and(char::is_lowercase);
                if is_room && floor(other).is_none_or(|floor| floor > own) {
                    wrong.push(format!("{}:{}: {room} uses {other}", file.display(), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_core_knows_no_face() {
    let mut files = Vec::new();
    sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut files);
    for file in files.iter().filter(|file| !["python", "capi", "extension", "lib"].contains(&room_of(file).as_str())) {
        let text = fs::read_to_string(file).unwrap();
        assert!(!text.contains("pyo3"), "{} names pyo3", file.display());
        // The standard library does not read the coarse clock, has no safe form of a prefetch, no memory in large pages,
        // and no pointer that is read by one load and names what lives as long as the table.
        let unsafe_files = ["table/memory.rs", "table/pages.rs", "table/index.rs"];
        if !unsafe_files.iter().any(|one| file.ends_with(one)) {
            assert!(!text.contains("unsafe "), "{} is unsafe", file.display());
        }
    }
}

#[test]
fn every_file_opens_with_what_it_is_for_and_stays_small() {
    let mut files = Vec::new();
    sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut files);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//! "), "{} does not say what it is for", file.display());
        let lines = text.lines().count();
        assert!(lines <= 400, "{} has {lines} lines", file.display());
    }
}

#[test]
fn every_ordering_weaker_than_seqcst_is_explained() {
    let mut files = Vec::new();
    sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut files);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let weak =
                ["Relaxed", "Acquire", "Release", "AcqRel"].iter().any(|o| line.contains(&format!("Ordering::{o}")));
            if weak {
                let above = &lines[number.saturating_sub(14)..number];
                let told = above.iter().any(|line| line.contains("ORDERING:"));
                assert!(told, "{}:{} has no ORDERING line above it", file.display(), number + 1);
            }
        }
    }
}
