//! What a launch needs of an engine and its machine, looked at as a person would.

use longshore_core::{Finding, HostFacts};
use std::path::Path;

use crate::mapping::facts;

/// What the engine has said of itself.
pub(crate) fn of_facts(facts: &HostFacts, address: &str) -> Vec<Finding> {
    let missing: Vec<&str> =
        ["memory", "cpu", "pids"].into_iter().filter(|limit| !facts::detail_has(facts, facts::LIMITS, limit)).collect();
    let limits = if missing.is_empty() {
        "memory, CPU and processes".to_owned()
    } else {
        format!("this engine can't limit {}", missing.join(", "))
    };
    let mut exact = facts::EXACT_LOG_DRIVERS.into_iter();
    let logs = match exact.find(|driver| facts::detail_has(facts, facts::LOG_DRIVERS, driver)) {
        Some(driver) => format!("the {driver} driver keeps every byte"),
        None => "no log driver that keeps every byte: logs are marked as lossy".to_owned(),
    };
    vec![
        Finding::new("address", true, format!("{address} answers, and lets us in")),
        Finding::new("engine", true, facts.engine.clone()),
        Finding::new("limits", missing.is_empty(), limits),
        Finding::new("logs", true, logs),
    ]
}

/// The folder in which what must be remembered of running jobs is kept.
pub(crate) async fn of_state(folder: &Path) -> Finding {
    let shown = folder.display();
    let probe = folder.join(".check");
    let written = async {
        tokio::fs::create_dir_all(folder).await?;
        tokio::fs::write(&probe, b"").await?;
        tokio::fs::remove_file(&probe).await
    };
    match written.await {
        Ok(()) => Finding::new("state", true, format!("{shown} can be written")),
        Err(error) => {
            let way_out = "give this user the folder, or name another by XDG_STATE_HOME";
            Finding::new("state", false, format!("{shown} can't be written: {error}; {way_out}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_core::find_logins;

    #[tokio::test]
    async fn credentials_are_told_by_registry_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        assert!(find_logins(Some(&path)).await.detail.starts_with("none stored"), "there is no file");
        let file = r#"{"auths": {"registry.example:5000": {"auth": "aHVudGVyMjpodW50ZXIy"}}, "credHelpers": {"b.example": "x"}}"#;
        std::fs::write(&path, file).unwrap();
        let finding = find_logins(Some(&path)).await;
        assert_eq!((finding.good, finding.detail.as_str()), (true, "stored for b.example by x, registry.example:5000"));
        std::fs::write(&path, "{").unwrap();
        let finding = find_logins(Some(&path)).await;
        assert!(!finding.good && finding.detail.contains("config.json can't be read"), "{finding:?}");
    }

    #[tokio::test]
    async fn a_state_folder_that_cannot_be_written_is_bad() {
        let folder = tempfile::tempdir().unwrap();
        assert!(of_state(&folder.path().join("a/b")).await.good);
        assert_eq!(std::fs::read_dir(folder.path().join("a/b")).unwrap().count(), 0);
        std::fs::write(folder.path().join("file"), "").unwrap();
        let finding = of_state(&folder.path().join("file/b")).await;
        assert!(!finding.good && finding.detail.contains("XDG_STATE_HOME"), "{finding:?}");
    }
}
