//! The stores that every case runs on.

use futures::future::BoxFuture;
use longshore_store::{JobStore, MemoryStore};
use std::{any::Any, future::Future, sync::Arc};

/// A kind of store.
pub(crate) trait Kind: 'static {
    /// What this machine lacks for it, and how to get it.
    fn needs() -> impl Future<Output = Result<(), String>>;

    /// An empty store.
    fn ground() -> impl Future<Output = Ground>;
}

type Opening = Box<dyn Fn() -> BoxFuture<'static, Arc<dyn JobStore>> + Send + Sync>;

/// A store that was empty at first, and further openings of the same, as other processes would open it.
pub(crate) struct Ground {
    pub(crate) store: Arc<dyn JobStore>,
    again: Opening,
    _kept: Box<dyn Any + Send + Sync>,
}

impl Ground {
    /// A store by the way to open it, and what must live as long.
    pub(crate) async fn new(
        again: impl Fn() -> BoxFuture<'static, Arc<dyn JobStore>> + Send + Sync + 'static,
        kept: impl Any + Send + Sync,
    ) -> Self {
        Self { store: again().await, again: Box::new(again), _kept: Box::new(kept) }
    }

    /// The same store once more, as another process would open it.
    pub(crate) async fn another(&self) -> Arc<dyn JobStore> {
        (self.again)().await
    }
}

pub(crate) struct Memory;

impl Kind for Memory {
    async fn needs() -> Result<(), String> {
        Ok(())
    }

    async fn ground() -> Ground {
        let store = MemoryStore::new();
        Ground::new(
            move || {
                let store: Arc<dyn JobStore> = Arc::new(store.clone());
                Box::pin(async { store })
            },
            (),
        )
        .await
    }
}

#[cfg(feature = "sqlite")]
pub(crate) struct Sqlite;

#[cfg(feature = "sqlite")]
impl Kind for Sqlite {
    async fn needs() -> Result<(), String> {
        Ok(())
    }

    async fn ground() -> Ground {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jobs.db");
        let open = move || -> BoxFuture<'static, Arc<dyn JobStore>> {
            let path = path.clone();
            Box::pin(async move {
                let options = longshore_store::SqliteOptions::default();
                Arc::new(longshore_store::SqliteStore::open(path, options).await.unwrap()) as Arc<dyn JobStore>
            })
        };
        Ground::new(open, folder).await
    }
}
