//! `longshore man [FOLDER]`: the manual pages, made from what can be typed.

use clap_mangen::Man;
use longshore::{Error, ErrorKind, Result};
use std::{fs, io, path::Path};

/// All pages, one after the other.
pub(crate) fn pages() -> Result<String> {
    let pages = rendered()?.into_iter().map(|(_, page)| page);
    Ok(pages.collect())
}

/// Writes each page into the folder: `longshore.1`, `longshore-run.1`, …
pub(crate) fn write(folder: &Path) -> Result<()> {
    for (name, page) in rendered()? {
        let path = folder.join(name);
        fs::write(&path, page).map_err(|error| {
            Error::new(ErrorKind::Invalid, format!("{} can't be written", path.display())).with_source(error)
        })?;
    }
    Ok(())
}

fn rendered() -> Result<Vec<(String, String)>> {
    let mut root = crate::command();
    root.build();
    let mut commands = Vec::new();
    gather(root, &mut commands);
    commands.into_iter().map(page).collect()
}

/// A command and all below it, as far as they are shown.
fn gather(command: clap::Command, found: &mut Vec<clap::Command>) {
    let below: Vec<_> = command.get_subcommands().filter(|below| !below.is_hide_set()).cloned().collect();
    found.push(command);
    for command in below.into_iter().filter(|below| below.get_name() != "help") {
        gather(command, found);
    }
}

fn page(command: clap::Command) -> Result<(String, String)> {
    let man = Man::new(command).manual("Longshore").source(concat!("longshore ", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    let broken = |error: io::Error| Error::new(ErrorKind::Unexpected, "a manual page can't be made").with_source(error);
    man.render(&mut text).map_err(broken)?;
    Ok((man.get_filename(), String::from_utf8_lossy(&text).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_and_run_tells_its_exit_codes() {
        let pages = rendered().unwrap();
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        let expected = [
            "longshore.1",
            "longshore-run.1",
            "longshore-submit.1",
            "longshore-jobs.1",
            "longshore-jobs-list.1",
            "longshore-jobs-show.1",
            "longshore-jobs-logs.1",
            "longshore-jobs-wait.1",
            "longshore-jobs-cancel.1",
            "longshore-jobs-retry.1",
            "longshore-jobs-settle.1",
            "longshore-jobs-prioritize.1",
            "longshore-dispatch.1",
            "longshore-cleanup.1",
            "longshore-db.1",
            "longshore-db-migrate.1",
            "longshore-db-check.1",
            "longshore-db-export.1",
            "longshore-db-import.1",
            "longshore-templates.1",
            "longshore-templates-list.1",
            "longshore-templates-show.1",
            "longshore-templates-save.1",
            "longshore-templates-remove.1",
            "longshore-route.1",
            "longshore-hosts.1",
            "longshore-hosts-list.1",
            "longshore-hosts-check.1",
            "longshore-hosts-pause.1",
            "longshore-hosts-resume.1",
            "longshore-hosts-paused.1",
            "longshore-config.1",
            "longshore-config-check.1",
            "longshore-config-show.1",
            "longshore-config-schema.1",
            "longshore-config-init.1",
            "longshore-executors.1",
            "longshore-schema.1",
            "longshore-completions.1",
            "longshore-man.1",
        ];
        assert_eq!(names, expected);
        let run = &pages[1].1;
        for text in [".TH longshore-run 1", "124", "128+n", "DOCKER_HOST", "\\-\\-secret"] {
            assert!(run.contains(text), "{text} is not in:\n{run}");
        }
    }
}
