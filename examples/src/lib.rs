//! Things that a user of Longshore would write.
