//! Which boot of the machine this is, and which process: numbers of processes are used again, times of start are not.

use std::{fs, io};

/// The kernel's id of the present boot (`random(4)`).
pub(crate) fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// When the process was started, in ticks since the boot (`proc_pid_stat(5)`, field 22).
pub(crate) fn process_start(pid: i32) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    start_of(&stat)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat is not as expected")))
}

/// Whether the process has ended and waits for its parent to notice.
pub(crate) fn is_zombie(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, fields)| fields.trim_start().starts_with('Z'))
}

/// The second field is the program's name in brackets, which may hold anything.
fn start_of(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_any_name_has_a_start() {
        let rest = "S 1 2 3 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 8 9";
        for name in ["init", "a b", ") S 9 (", ""] {
            assert_eq!(start_of(&format!("12 ({name}) {rest}")), Some(4711), "{name}");
        }
        assert!(process_start(std::process::id().cast_signed()).unwrap() > 0);
        assert_eq!(start_of("12 (x) S"), None);
    }

    #[test]
    fn the_boot_has_an_id() {
        assert_eq!(boot_id().unwrap().len(), 36);
    }
}
