//! A container's log: followed once, spilled to disk, read by any number of readers.

mod follower;
mod frames;
mod long_lines;
mod reader;
mod spill;

pub(crate) use follower::{Follower, Following};
pub(crate) use reader::LogReader;
pub(crate) use spill::{is_attended, remove as remove_files};
