//! Tells the Python face which interpreter it is built for, so that it calls only what that version has, and gives it the
//! documentation of the stub; and tells the linker that the library's own functions are meant where it names them.

fn main() {
    #[cfg(feature = "python")]
    pyo3_build_config::use_pyo3_cfgs();
    #[cfg(feature = "python")]
    docs::write();
    // Else another copy of the library that is loaded before (by the program that embeds Python, say) would take the place of
    // the exported functions in this copy's table, and know none of its limiters. Other systems bind them so anyway.
    if matches!(std::env::var("CARGO_CFG_TARGET_OS").as_deref(), Ok("linux" | "android" | "freebsd")) {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-Bsymbolic-functions");
    }
}

/// The docstrings of the stub, a file each, for `stub!` in src/python. The stub is their only source.
///
/// It is read line by line, as ruff formats it: a name stands in column 0, or in column 4 within a class, and its docstring is
/// the next line that begins with three quotation marks.
#[cfg(feature = "python")]
mod docs {
    use std::path::Path;
    use std::{env, fs};

    const STUB: &str = "python/tollbar/_tollbar.pyi";
    const QUOTES: &str = "\"\"\"";

    pub(super) fn write() {
        println!("cargo:rerun-if-changed=build.rs");
        println!("cargo:rerun-if-changed={STUB}");
        let folder = Path::new(&env::var_os("OUT_DIR").expect("set by Cargo")).join("docs");
        fs::create_dir_all(&folder).expect("Cargo's own folder is writable");
        let stub = fs::read_to_string(STUB).unwrap_or_else(|error| panic!("{STUB}: {error}"));
        assert!(!stub.contains(['\\', '\0']), "{STUB}: an escape would be read otherwise by Python");
        for (name, text) in read(&stub) {
            fs::write(folder.join(name), text).expect("Cargo's own folder is writable");
        }
    }

    /// Names and docstrings; the module itself is named `module`.
    fn read(stub: &str) -> Vec<(String, String)> {
        let (mut found, mut class, mut name) = (Vec::new(), "", Some("module".to_owned()));
        let mut lines = stub.lines();
        while let Some(line) = lines.next() {
            let inside = line.trim_start();
            if let Some(opened) = inside.strip_prefix(QUOTES) {
                let mut text = opened.to_owned();
                while !text.trim_end().ends_with(QUOTES) {
                    text.push('\n');
                    text.push_str(lines.next().expect("a docstring is closed"));
                }
                let text = text.trim_end().strip_suffix(QUOTES).expect("just looked at");
                found.extend(name.take().map(|name| (name, cleaned(text))));
            } else if let Some((kind, new)) = named(inside) {
                match line.len() - inside.len() {
                    0 => {
                        class = if kind == "class" { new } else { "" };
                        name = Some(new.to_owned());
                    }
                    4 => name = Some(format!("{class}.{new}")),
                    _ => {}
                }
            }
        }
        found
    }

    /// What a line names: a class, a function, or an attribute with its type.
    fn named(line: &str) -> Option<(&str, &str)> {
        let (kind, rest) = ["class", "def"]
            .into_iter()
            .find_map(|kind| Some((kind, line.strip_prefix(kind)?.strip_prefix(' ')?)))
            .unwrap_or(("", line));
        let name = &rest[..rest.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap_or(rest.len())];
        let ends = if kind.is_empty() { &[": "][..] } else { &["(", ":"] };
        (!name.is_empty() && ends.iter().any(|end| rest[name.len()..].starts_with(end))).then_some((kind, name))
    }

    /// Without the indentation, as `inspect.cleandoc` leaves it.
    fn cleaned(text: &str) -> String {
        let indent = |line: &str| line.len() - line.trim_start().len();
        let least = text.lines().skip(1).filter(|line| !line.trim().is_empty()).map(indent).min().unwrap_or(0);
        let mut lines: Vec<&str> = vec![text.lines().next().unwrap_or("").trim()];
        lines.extend(text.lines().skip(1).map(|line| line.get(least..).unwrap_or("").trim_end()));
        lines.join("\n").trim_end().to_owned()
    }
}
