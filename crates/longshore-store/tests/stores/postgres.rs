//! The store in PostgreSQL: a database for each case, in a server of the tests' own.

use longshore_store::{JobStore, PostgresOptions, PostgresStore};
use std::sync::Arc;

#[path = "../cluster/mod.rs"]
mod cluster;

use crate::ground::{Ground, Kind};
pub(crate) use cluster::stop_shared as stop;

pub(crate) struct Postgres;

impl Kind for Postgres {
    async fn needs() -> Result<(), String> {
        cluster::shared().map(|_| ())
    }

    async fn ground() -> Ground {
        let url = cluster::shared().unwrap().database().await;
        let open = move || -> futures::future::BoxFuture<'static, Arc<dyn JobStore>> {
            let url = url.clone();
            Box::pin(async move {
                let store = PostgresStore::connect(&url, PostgresOptions::default()).await.unwrap();
                let store: Arc<dyn JobStore> = Arc::new(store);
                store
            })
        };
        Ground::new(open, ()).await
    }
}
