//! Longshore's embedded executor.

mod image;
mod seccomp;
