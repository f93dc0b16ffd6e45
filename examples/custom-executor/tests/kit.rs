//! The conformance kit against programs of this machine.
fn main() {}
