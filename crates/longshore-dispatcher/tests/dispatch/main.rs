//! The dispatcher over the store in memory and the scripted executor, on a clock that waits for nobody.

mod cancelling;
mod ends;
mod refusals;
mod stage;
mod takeover;
