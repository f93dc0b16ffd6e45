//! PostgreSQL: the store beside a bare client that writes the same rows in batches.

use longshore::store::{PostgresOptions, PostgresStore};
use std::sync::Arc;

use super::{Extent, Figure, Said, bare::Bare, rate};
use crate::{cases::Samples, cluster::Cluster, raw::Result};

/// Jobs a second, and as a part of the bare client's; nothing where there is no server's program.
pub(crate) async fn measure(extent: Extent) -> Result<Vec<Said>> {
    let cluster = Cluster::start().map_err(|missing| format!("PostgreSQL can't be measured: {missing}"))?;
    let ours = async || -> Result<(f64, String)> {
        let url = cluster.database().await;
        let store = PostgresStore::connect(&url, PostgresOptions::default()).await?;
        Ok((rate::once(Arc::new(store), extent.jobs).await?, url))
    };
    let (_, sample) = ours().await?;
    let bare = Bare::like(&sample).await?;
    let (mut samples, mut rounds) = (Samples::default(), Vec::new());
    for pair in 0..extent.rounds {
        let one = async |is_ours: bool| -> Result<f64> {
            if is_ours {
                return Ok(ours().await?.0);
            }
            let url = cluster.database().await;
            PostgresStore::connect(&url, PostgresOptions::default()).await?;
            bare.write(&url, extent.jobs).await
        };
        let first = one(pair % 2 == 0).await?;
        let second = one(pair % 2 == 1).await?;
        rounds.push(if pair % 2 == 0 { first } else { second });
        samples.add(pair, first, second);
    }
    Ok(vec![
        Said::Figure(Figure::of_rounds("durable jobs a second, PostgreSQL", "1/s", &rounds, "aim 5000")),
        Said::Finding(samples.finding(
            "durable jobs a second, PostgreSQL",
            ("longshore", "bare batched client"),
            "1/s",
            "at least 0.5",
        )),
    ])
}
