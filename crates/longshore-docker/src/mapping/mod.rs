//! Pure functions between Longshore's words and the Engine API's
//! (<https://docs.docker.com/reference/api/engine/version/v1.41/>).

pub(crate) mod answers;
pub(crate) mod create;
pub(crate) mod errors;
pub(crate) mod facts;
pub(crate) mod labels;
pub(crate) mod state;
