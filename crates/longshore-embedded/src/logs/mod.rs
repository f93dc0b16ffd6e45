//! The log on disk: `stdout` and `stderr` hold the program's bytes and nothing else; `log.index` tells in which order
//! and when they came.

mod index;
mod reader;
mod writer;

pub(crate) use reader::{Place, end, read};
pub(crate) use writer::LogWriter;
