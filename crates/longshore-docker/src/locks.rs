//! One launch of a token at a time, within this program.

use longshore_core::LaunchToken;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};
use tokio::sync::OwnedMutexGuard;

/// A lock for each token that is being launched.
#[derive(Debug, Default)]
pub(crate) struct TokenLocks(Mutex<HashMap<LaunchToken, Weak<tokio::sync::Mutex<()>>>>);

impl TokenLocks {
    /// Waits until nobody else holds the token's lock. Cancel-safe.
    pub(crate) async fn lock(&self, token: LaunchToken) -> OwnedMutexGuard<()> {
        self.of(token).lock_owned().await
    }

    fn of(&self, token: LaunchToken) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        locks.retain(|_, lock| lock.strong_count() > 0);
        if let Some(lock) = locks.get(&token).and_then(Weak::upgrade) {
            return lock;
        }
        let lock = Arc::new(tokio::sync::Mutex::new(()));
        locks.insert(token, Arc::downgrade(&lock));
        lock
    }
}
