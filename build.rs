//! Tells the Python face which interpreter it is built for, so that it calls only what that version has.

fn main() {
    #[cfg(feature = "python")]
    pyo3_build_config::use_pyo3_cfgs();
}
