//! Everything that can be scripted, on a clock that is paused.

mod contact;
mod events;
mod launching;
mod logs;
mod planning;
mod restarts;
mod runs;
mod states;
mod support;
