//! How tightly a container is held, as its own process sees it.

use longshore_core::{Capability, SecurityProfile};

use super::mapping::{CAN_NOT_WRITE, finish, of_the_kernel};
use crate::kit::{
    case::Case,
    failure::{CaseResult, Halt, holds, same},
};

cases! { "security":
    an_ordinary_job_gains_no_privileges,
    an_ordinary_job_lacks_the_dangerous_capabilities,
    a_hardened_job_is_nobody_in_particular,
    a_hardened_job_has_a_root_that_is_read_only,
}

/// The kernel's numbers of the capabilities that the default profile drops (`capabilities(7)`).
const DANGEROUS: [(&str, u32); 5] =
    [("NET_RAW", 13), ("SYS_CHROOT", 18), ("MKNOD", 27), ("AUDIT_WRITE", 29), ("SETFCAP", 31)];

/// The value of a line of `/proc/self/status`.
fn field<'a>(status: &'a str, name: &str) -> CaseResult<&'a str> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.map(str::trim).ok_or_else(|| Halt::broken(format!("/proc/self/status has a line {name}")))
}

/// The capabilities of the process, as the kernel's bits.
fn effective(status: &str) -> CaseResult<u64> {
    u64::from_str_radix(field(status, "CapEff")?, 16).map_err(|error| Halt::broken(error.to_string()))
}

/// What the kernel says of the process of an ordinary job; `None` in a simulation.
async fn ordinary(case: &Case) -> CaseResult<Option<String>> {
    let finished = case.run(["read /proc/self/status"]).await?;
    Ok(of_the_kernel(&finished))
}

async fn an_ordinary_job_gains_no_privileges(case: &Case) -> CaseResult {
    let Some(status) = ordinary(case).await? else { return Ok(()) };
    same("no new privileges", field(&status, "NoNewPrivs")?, "1")
}

async fn an_ordinary_job_lacks_the_dangerous_capabilities(case: &Case) -> CaseResult {
    let Some(status) = ordinary(case).await? else { return Ok(()) };
    let effective = effective(&status)?;
    let kept: Vec<_> = DANGEROUS.iter().filter(|(_, bit)| effective & (1 << bit) != 0).collect();
    same("the dangerous capabilities that are left", kept, vec![])
}

async fn a_hardened_job_is_nobody_in_particular(case: &Case) -> CaseResult {
    let mut template = case.template(["id", "read /proc/self/status"]);
    template.security = SecurityProfile::Hardened;
    let Some(finished) = finish(case, template, Capability::HardenedProfile).await? else { return Ok(()) };
    let text = finished.log.text();
    holds(!text.starts_with("uid=0 "), format!("a hardened job does not run as root; found {text:.40}"))?;
    let Some(status) = of_the_kernel(&finished) else { return Ok(()) };
    same("its capabilities", effective(&status)?, 0)?;
    same("no new privileges", field(&status, "NoNewPrivs")?, "1")
}

async fn a_hardened_job_has_a_root_that_is_read_only(case: &Case) -> CaseResult {
    let mut template = case.template(["write /tmp/kit scratch", "read /tmp/kit", "write /kit-was-here x"]);
    template.security = SecurityProfile::Hardened;
    let Some(finished) = finish(case, template, Capability::HardenedProfile).await? else { return Ok(()) };
    let text = finished.log.text();
    holds(text.starts_with("scratch\n"), format!("/tmp holds what is written to it; found {text:?}"))?;
    same("the exit of a write to the root", finished.termination().exit_code, CAN_NOT_WRITE)
}
