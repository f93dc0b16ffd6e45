//! Where logs are kept; it fails at times.

use longshore_core::{ByteSize, ContainerExecutor, ExecutionHandle, LaunchToken, LogQuery, Result, async_trait};
use longshore_dispatcher::LogKeeper;
use longshore_store::{LogReference, LogStore, SavedLog};
use std::{sync::Arc, time::Duration};

use crate::life::{Life, unavailable};

#[derive(Debug)]
pub(crate) struct Keeper(pub(crate) Arc<Life>);

impl Keeper {
    fn logs(&self) -> &LogStore {
        &self.0.world.logs
    }
}

#[async_trait]
impl LogKeeper for Keeper {
    async fn save(
        &self,
        executor: &dyn ContainerExecutor,
        handle: &ExecutionHandle,
        cap: ByteSize,
    ) -> Result<SavedLog> {
        let saved = self.logs().save(executor, handle, cap).await?;
        self.0.step("keeper.save").await;
        let world = &self.0.world;
        if !world.is_calm() && world.dice().chance(world.script.faults.keeper) {
            return Err(unavailable("the log store did not answer"));
        }
        Ok(saved)
    }

    async fn keep_only(&self, token: LaunchToken, reference: Option<&LogReference>) -> Result<()> {
        self.0.step("keeper.keep_only").await;
        self.logs().keep_only(token, reference).await.map(drop)
    }
}

/// A whole log.
pub(crate) async fn read(executor: &dyn ContainerExecutor, handle: &ExecutionHandle) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut query = LogQuery::from_start();
    loop {
        let page = executor.get_logs(handle, &query).await?;
        page.records.iter().for_each(|record| bytes.extend_from_slice(&record.bytes));
        if page.ended.is_some() {
            return Ok(bytes);
        }
        query = LogQuery::after(page.next).waiting(Duration::from_secs(1));
    }
}
