//! Measures tollbar beside the crate `governor`, both in one process and interleaved, and prints JSON.
//!
//! `against-governor [--quick] [--repeats N]`
//!
//! Everything is nanoseconds per decision on keys of 30 bytes under limits that are never reached, the
//! cost of the bare loop taken off. Absolute times change from machine to machine; the ratios are the point.

mod bytes;
mod decisions;
mod first_sights;
mod keys;
mod numbers;
mod parts;
mod sampling;
mod sides;

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::sides::Side;

/// How much is measured.
struct Extent {
    repeats: usize,
    /// Known keys of the rows.
    counts: &'static [u32],
    /// Decisions of one sample and thread: with few keys, and with many.
    decisions: [usize; 2],
    /// Keys that the batches are made of.
    batches: &'static [u32],
    growth: u32,
    growth_repeats: usize,
    full_table: u32,
    bytes: u32,
    processes: usize,
}

const FULL: Extent = Extent {
    repeats: 9,
    counts: &[1, 1_000, 100_000, 1_000_000],
    decisions: [200_000, 400_000],
    batches: &[1_000, 1_000_000],
    growth: 2_000_000,
    growth_repeats: 3,
    full_table: 100_000,
    bytes: 1_000_000,
    processes: 3,
};

/// Shows that everything runs; the numbers are weak.
const QUICK: Extent = Extent {
    repeats: 2,
    counts: &[1, 1_000, 20_000],
    decisions: [20_000, 20_000],
    batches: &[1_000, 20_000],
    growth: 50_000,
    growth_repeats: 1,
    full_table: 10_000,
    bytes: 50_000,
    processes: 1,
};

/// The version of a package that this program was built with.
fn version(package: &str) -> Option<&'static str> {
    let named = format!("name = \"{package}\"\nversion = \"");
    include_str!("../Cargo.lock").split(&named).nth(1)?.split('"').next()
}

fn measure(extent: &Extent) -> Value {
    let cores = sampling::cores();
    if cores.len() < 2 {
        eprintln!("fewer than two cores: the rows of two threads are left out");
    }
    json!({
        "governor": version("governor"),
        "tollbar": version("tollbar"),
        "cores": cores.len(),
        "repeats": extent.repeats,
        "rows": decisions::measure(extent, &cores),
        "growth": first_sights::growth(extent),
        "first_sight": first_sights::in_a_full_table(extent),
        "bytes": bytes::measure(extent),
    })
}

fn extent(arguments: &[String]) -> Option<Extent> {
    let mut extent = if arguments.iter().any(|argument| argument == "--quick") { QUICK } else { FULL };
    let mut rest = arguments.iter().filter(|argument| *argument != "--quick");
    while let Some(argument) = rest.next() {
        let repeats = if argument == "--repeats" { rest.next()? } else { argument.strip_prefix("--repeats=")? };
        extent.repeats = repeats.parse().ok().filter(|repeats| *repeats > 0)?;
    }
    Some(extent)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [bytes::SUBCOMMAND, side, count] = arguments.iter().map(String::as_str).collect::<Vec<_>>()[..]
        && let (Some(side), Ok(count)) = (Side::named(side), count.parse())
    {
        return bytes::of_this_process(side, count);
    }
    let Some(extent) = extent(&arguments) else {
        eprintln!("usage: against-governor [--quick] [--repeats N]");
        return ExitCode::from(2);
    };
    println!("{:#}", measure(&extent));
    ExitCode::SUCCESS
}
