//! What the examples do at Ctrl-C. Without it they would end there and then, and leave their jobs running.

use longshore::{StopLevel, StopSwitch};

/// A switch for [`Runner::stopped_by`](longshore::Runner::stopped_by): Ctrl-C asks the jobs to end, and a second one
/// kills them. Either way their containers are removed.
pub(crate) fn stop_at_ctrl_c() -> StopSwitch {
    let stop = StopSwitch::new();
    let switch = stop.clone();
    tokio::spawn(async move {
        for level in [StopLevel::Graceful, StopLevel::Kill] {
            if tokio::signal::ctrl_c().await.is_ok() {
                switch.stop(level);
            }
        }
    });
    stop
}
