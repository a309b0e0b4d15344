//! Resident bytes per key, each side in a process of its own, which is this program once more.

use std::fs;
use std::process::{Command, ExitCode};

use serde_json::{Value, json};

use crate::Extent;
use crate::keys::{KEY_LENGTH, write_key};
use crate::numbers::median;
use crate::sides::{self, Side};

/// What the other process is started with: this, a side, and a number of keys.
pub(crate) const SUBCOMMAND: &str = "bytes";

/// Resident kilobytes of this process; only Linux tells.
fn resident_kb() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.split_whitespace().next()?.parse().ok()
}

/// What `known` leaves resident after so many keys, each made in the same buffer: only what the limiter
/// keeps counts. The first call is not counted.
fn grown_by<T>(count: u32, mut known: impl FnMut(&String) -> T) -> Option<f64> {
    let mut key = String::with_capacity(KEY_LENGTH);
    write_key(&mut key, count);
    known(&key);
    let before = resident_kb()?;
    for number in 0..count {
        write_key(&mut key, number);
        known(&key);
    }
    Some((resident_kb()? - before) * 1024.0 / f64::from(count))
}

/// Prints bytes per key of one side.
pub(crate) fn of_this_process(side: Side, count: u32) -> ExitCode {
    let told = match side {
        Side::Ours => {
            let limiter = sides::tollbar(count + 1);
            let told = grown_by(count, |key| sides::ours(&limiter, key));
            told.filter(|_| limiter.len() == count as usize + 1)
        }
        Side::Theirs => {
            let limiter = sides::governor();
            let told = grown_by(count, |key| sides::theirs(&limiter, key));
            told.filter(|_| limiter.len() == count as usize + 1)
        }
    };
    let Some(told) = told else { return ExitCode::FAILURE };
    println!("{told}");
    ExitCode::SUCCESS
}

fn in_a_process(side: Side, count: u32) -> Option<f64> {
    let program = std::env::current_exe().ok()?;
    let done = Command::new(program).args([SUBCOMMAND, side.name(), &count.to_string()]).output().ok()?;
    String::from_utf8(done.stdout).ok()?.trim().parse().ok().filter(|_| done.status.success())
}

/// Bytes per key of both sides; null where the system does not tell them.
pub(crate) fn measure(extent: &Extent) -> Value {
    eprintln!("bytes per key");
    let told = |side| {
        let sizes: Option<Vec<f64>> = (0..extent.processes).map(|_| in_a_process(side, extent.bytes)).collect();
        sizes.map(|sizes| median(&sizes))
    };
    let [ours, theirs] = Side::BOTH.map(told);
    json!({ "keys": extent.bytes, "ours": ours, "theirs": theirs })
}
