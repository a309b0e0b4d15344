//! Tells the Python face which interpreter it is built for, so that it calls only what that version has; and the linker that the
//! library's own functions are meant where it names them.

fn main() {
    #[cfg(feature = "python")]
    pyo3_build_config::use_pyo3_cfgs();
    // Else another copy of the library that is loaded before (by the program that embeds Python, say) would take the place of
    // the exported functions in this copy's table, and know none of its limiters. Other systems bind them so anyway.
    if matches!(std::env::var("CARGO_CFG_TARGET_OS").as_deref(), Ok("linux" | "android" | "freebsd")) {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-Bsymbolic-functions");
    }
}
