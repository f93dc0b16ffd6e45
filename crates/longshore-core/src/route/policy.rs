//! Which of several hosts that would do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ExecutionHost, JobId, route::HostState};

/// How one of several hosts that would do is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Policy {
    /// By chance, in proportion to the hosts' weights.
    #[default]
    Weighted,
    /// The one where the job is expected to cost least; what can't be estimated comes last.
    Cheapest,
    /// The one with the fewest running jobs for its weight.
    LeastLoaded,
}

/// The job's own draw for a host: the host with the least has won. An exponential variate of the rate `weight`, made
/// from a hash of both names, so that the least of several falls to each in proportion to its weight.
#[expect(clippy::cast_precision_loss, reason = "the 53 bits that are left fit a double")]
pub(super) fn draw(job: JobId, host: &ExecutionHost) -> f64 {
    let hash = mixed(fnv(fnv(FNV_OFFSET, job.as_uuid().as_bytes()), host.name.as_str().as_bytes()));
    let uniform = ((hash >> 11) + 1) as f64 / ((1_u64 << 53) + 1) as f64;
    // A host of weight zero is reached by name only, and then it is alone.
    -uniform.ln() / f64::from(host.weight.max(1))
}

/// The running jobs for the host's weight.
pub(super) fn load(host: &ExecutionHost, state: &HostState) -> f64 {
    f64::from(state.running) / f64::from(host.weight.max(1))
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// FNV-1a, which is the same everywhere and for ever (<https://www.rfc-editor.org/rfc/rfc9923>).
fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME))
}

/// The finaliser of `SplitMix64` (<https://doi.org/10.1145/2714064.2660195>): FNV alone leaves the high bits poor.
const fn mixed(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}
