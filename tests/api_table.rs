//! The table of functions has every function of the header, where programs that were compiled before expect it.

use std::collections::BTreeSet;
use std::fs;

/// The table's order under ABI version 1: new names go to the end, and nothing else ever changes.
const ORDER: &[&str] = &[
    "version",
    "abi_version",
    "status_text",
    "reason_text",
    "policy_new",
    "policy_add_rate",
    "policy_add_window",
    "policy_add_in_flight",
    "policy_add_jail",
    "policy_set",
    "policy_set_name",
    "policy_set_escalation",
    "policy_free",
    "clock_new",
    "clock_advance",
    "clock_now",
    "clock_free",
    "options_new",
    "options_set",
    "options_set_clock",
    "options_free",
    "limiter_new",
    "limiter_clone",
    "limiter_with_policy",
    "limiter_free",
    "try_acquire",
    "decide",
    "peek",
    "try_acquire_many",
    "try_acquire_packed",
    "try_acquire_all",
    "bucket_new",
    "bucket_try_acquire",
    "bucket_peek",
    "bucket_free",
    "reserve",
    "commit",
    "commit_actual",
    "cancel",
    "acquire",
    "join",
    "look",
    "leave",
    "wakeups_new",
    "wakeups_next",
    "wakeups_tell",
    "wakeups_free",
    "reset",
    "reconfigure",
    "release",
    "penalize",
    "contains",
    "stats",
    "shadow_denied",
    "policy_add_closed",
    "decide_costs",
    "peek_costs",
    "try_acquire_all_costs",
    "reserve_costs",
    "commit_costs",
    "renew",
    "follow_default",
    "set_limits",
    "block",
    "drain",
    "inspect",
    "parts",
    "keys",
    "denied_by_limit",
    "policy_add_calendar",
    "acquire_all",
    "join_all",
];

fn read(path: &str) -> String {
    fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The header without its comments.
fn header() -> String {
    let text = read("include/tollbar.h");
    let is_comment = |line: &&str| ["//", "/*", "*"].iter().any(|mark| line.trim_start().starts_with(mark));
    text.lines().filter(|line| !is_comment(line)).collect::<Vec<_>>().join("\n")
}

/// The fields of the header's table that are functions, in order.
fn fields(header: &str) -> Vec<String> {
    let table = header.split("typedef struct tollbar_api {").nth(1).unwrap().split("} tollbar_api;").next().unwrap();
    table.split("(*").skip(1).map(|rest| rest.split(')').next().unwrap().to_owned()).collect()
}

#[test]
fn the_table_has_exactly_the_functions_of_the_header() {
    let header = header();
    let declarations = header.split("extern \"C\" {").nth(1).unwrap();
    let declared: BTreeSet<String> = declarations
        .lines()
        .filter(|line| line.contains('(') && !line.starts_with(' '))
        .map(|line| line.split('(').next().unwrap().split("tollbar_").last().unwrap().to_owned())
        .filter(|name| name != "api_table")
        .collect();
    let fields = fields(&header);
    assert_eq!(fields.iter().cloned().collect::<BTreeSet<_>>(), declared);
    assert_eq!(fields.len(), declared.len(), "one field for each");
}

#[test]
fn the_tables_order_is_what_it_was() {
    let fields = fields(&header());
    assert_eq!(fields.iter().map(String::as_str).collect::<Vec<_>>(), ORDER);
}

#[test]
fn every_field_is_the_function_of_its_name() {
    let text = read("src/capi/table.rs");
    let table = text.split("static API: Api = Api {").nth(1).unwrap().split("};").next().unwrap();
    let given: Vec<(&str, &str)> =
        table.lines().filter_map(|line| line.trim().strip_suffix(',')?.split_once(": ")).collect();
    let functions = given.iter().filter(|(_, value)| value.contains("::tollbar_"));
    let functions: Vec<&str> = functions
        .map(|(field, value)| {
            assert_eq!(value.split("::").last(), Some(format!("tollbar_{field}").as_str()));
            *field
        })
        .collect();
    assert_eq!(functions, ORDER);
}
