//! A network that keeps a container waiting, made and not started.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use longshore_core::LaunchRequest;
use serde_json::json;
use std::{fs, path::PathBuf};

use crate::bench::{Bench, number_in};

/// A network's helper that says who waits for it, and is ready when it is told.
pub(crate) struct SlowNetwork {
    waiting: PathBuf,
    go: PathBuf,
}

impl SlowNetwork {
    /// Has the request's container wait for its network, made and not started.
    pub(crate) fn of(bench: &Bench, request: &mut LaunchRequest) -> Self {
        let (waiting, go) = (bench.allowed.path().join("waiting"), bench.allowed.path().join("go"));
        assert!(std::process::Command::new("mkfifo").arg(&go).status().unwrap().success());
        let text = format!(
            "#!/bin/bash\nfor word; do case $word in --ready-fd=*) ready=${{word#*=}};; \
             --exit-fd=*) exit=${{word#*=}};; esac; done\necho $PPID > {}\n\
             {{ cat <&$exit; kill $$; }} & watcher=$!\nread word < {}\nprintf 1 >&$ready\nwait $watcher\n",
            waiting.display(),
            go.display()
        );
        let script = bench.script("network", &text);
        request.plan.host_settings.settings["network"] = json!({ "private": { "slirp": script } });
        Self { waiting, go }
    }

    /// The supervisor that waits.
    pub(crate) async fn supervisor(&self) -> i32 {
        number_in(&self.waiting).await
    }

    pub(crate) fn go(&self) {
        fs::write(&self.go, "go\n").unwrap();
    }
}
