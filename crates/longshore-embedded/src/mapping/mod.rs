//! Pure functions: a launch request to what a supervisor is told, a record to a status.

pub(crate) mod end;
pub(crate) mod order;
