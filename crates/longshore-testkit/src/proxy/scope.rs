//! Tasks that are ended together.

use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// A set of tasks with one switch that ends them all.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    cut: CancellationToken,
    tasks: TaskTracker,
}

impl Scope {
    /// A set of its own, which ends when this one ends.
    pub(super) fn child(&self) -> Self {
        Self { cut: self.cut.child_token(), tasks: TaskTracker::new() }
    }

    /// Runs a task in this set; its result is `None` if the set was ended first.
    pub(super) fn spawn<F>(&self, task: F) -> JoinHandle<Option<F::Output>>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.tasks.spawn(self.cut.clone().run_until_cancelled_owned(task))
    }

    /// Tells the tasks of this set, and of its children, to end.
    pub(super) fn cut(&self) {
        self.cut.cancel();
    }

    pub(super) fn is_cut(&self) -> bool {
        self.cut.is_cancelled()
    }

    /// Ends the tasks of this set and waits until they have let go of all that they held.
    pub(super) async fn end(&self) {
        self.cut();
        self.tasks.close();
        self.tasks.wait().await;
    }
}
