//! The header is what the sources say: generated, and compared with the one that is committed.

use std::fs;
use std::path::Path;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// In the order of the header's chapters.
const CHAPTERS: &[&str] = &[
    "types.rs",
    "exports/library.rs",
    "exports/policies.rs",
    "exports/calendars.rs",
    "exports/clocks.rs",
    "exports/limiters.rs",
    "exports/decisions.rs",
    "exports/buckets.rs",
    "exports/reservations.rs",
    "exports/waiting.rs",
    "exports/keys.rs",
    "exports/table.rs",
];

fn generated() -> String {
    let mut config = cbindgen::Config::from_file(format!("{ROOT}/include/cbindgen.toml")).unwrap();
    config.after_includes = Some(format!(
        "\n/* The version of this header, which tollbar_version tells of the library. */\n\
         #define TOLLBAR_VERSION_MAJOR {}\n#define TOLLBAR_VERSION_MINOR {}\n#define TOLLBAR_VERSION_PATCH {}\n\
         #define TOLLBAR_VERSION \"{}\"",
        env!("CARGO_PKG_VERSION_MAJOR"),
        env!("CARGO_PKG_VERSION_MINOR"),
        env!("CARGO_PKG_VERSION_PATCH"),
        env!("CARGO_PKG_VERSION"),
    ));
    let builder = CHAPTERS.iter().fold(cbindgen::Builder::new().with_config(config), |builder, chapter| {
        builder.with_src(format!("{ROOT}/src/capi/{chapter}"))
    });
    let mut written = Vec::new();
    builder.generate().unwrap().write(&mut written);
    String::from_utf8(written).unwrap()
}

#[test]
fn the_header_is_what_the_sources_say() {
    let (path, generated) = (format!("{ROOT}/include/tollbar.h"), generated());
    if std::env::var_os("TOLLBAR_WRITE").is_some() {
        fs::write(&path, &generated).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap();
    assert!(committed == generated, "include/tollbar.h is stale: TOLLBAR_WRITE=1 cargo test --test header");
}

#[test]
fn every_chapter_is_in_the_header() {
    let folder = fs::read_dir(format!("{ROOT}/src/capi/exports")).unwrap();
    for entry in folder {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let chapter = format!("exports/{name}");
        assert!(name == "mod.rs" || CHAPTERS.contains(&chapter.as_str()), "{name} is in no chapter");
    }
}

#[test]
fn everything_in_the_header_bears_the_librarys_name() {
    let header = fs::read_to_string(Path::new(ROOT).join("include/tollbar.h")).unwrap();
    for line in header.lines() {
        if let Some(rest) = line.strip_prefix("#define ") {
            assert!(rest.starts_with("TOLLBAR_"), "{line}");
        }
        if let Some(rest) = line.strip_prefix("typedef struct ") {
            assert!(rest.starts_with("tollbar_"), "{line}");
        }
    }
    // What C sees of the functions is what Rust exports.
    let declared = header.matches('(').count();
    assert!(declared > 50, "{declared}");
}
