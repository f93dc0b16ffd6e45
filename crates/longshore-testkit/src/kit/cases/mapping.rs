//! What the job asks for is what its program finds.

use longshore_core::{
    ByteSize, Capability, Cpu, EnvVar, ErrorKind, JobTemplate, Mount, MountSource, Network, NetworkName, Platform,
    Tmpfs,
};

use super::demands::{CPU, PIDS, is_limited, launch_if_declared, undeclared};
use crate::kit::{
    case::Case,
    failure::{CaseResult, Halt, holds, refused, same, same_bytes},
    steps::Finished,
};
use std::time::Duration;

cases! { "mapping":
    environment,
    arguments_are_never_split,
    command_before_arguments,
    working_directory,
    user,
    no_network,
    private_network,
    network_of_the_host_by_name,
    scratch_space_in_memory,
    folder_of_the_host,
    limit_on_processes,
    limit_on_cpu,
    platform,
}

/// Sees the template through where its capability is declared; where it is not, the case has proven the refusal.
pub(super) async fn finish(case: &Case, template: JobTemplate, capability: Capability) -> CaseResult<Option<Finished>> {
    match launch_if_declared(case, template, capability).await? {
        Some(execution) => Ok(Some(case.finish(execution).await?)),
        None => Ok(None),
    }
}

/// The exit code with which the probe says that it could not read a file.
pub(super) const CAN_NOT_READ: Option<i32> = Some(66);
/// The exit code with which the probe says that it could not write a file.
pub(super) const CAN_NOT_WRITE: Option<i32> = Some(73);

/// What the program reads of the kernel; `None` in a simulation, which has none.
pub(super) fn of_the_kernel(finished: &Finished) -> Option<String> {
    (finished.termination().exit_code != CAN_NOT_READ).then(|| finished.log.text())
}

async fn environment(case: &Case) -> CaseResult {
    let values =
        ["plain", "", "first\nsecond\n", "a=b \"c\" 'd' $HOME ${HOME} %PATH% \\ *", "ünïcödé 🚢", "  blanks  "];
    let mut script = Vec::new();
    let mut variables = Vec::new();
    for (index, value) in values.into_iter().enumerate() {
        script.push(format!("env KIT_{index}"));
        variables.push(EnvVar::new(&format!("KIT_{index}"), value)?);
    }
    let mut template = case.template(script);
    template.env.extend(variables);
    let Some(finished) = finish(case, template, Capability::Environment).await? else { return Ok(()) };
    let expected: String = values.iter().map(|value| format!("{value}\n")).collect();
    same_bytes("the variables", &finished.log.stdout, expected.as_bytes())
}

async fn arguments_are_never_split(case: &Case) -> CaseResult {
    let odd = [
        "two  blanks",
        "\"quoted\" 'twice'",
        "$HOME `id` $(id)",
        "a;b|c&d>e<f",
        "*?[x]",
        "\\n\\t\\",
        "--help -- -",
        "",
    ];
    let script = odd.iter().map(|text| format!("print {text}"));
    let expected: String = odd.iter().map(|text| format!("{text}\n")).collect();
    let finished = case.run(script).await?;
    finished.exited(0)?;
    same_bytes("what the program was told to print", &finished.log.stdout, expected.as_bytes())
}

async fn command_before_arguments(case: &Case) -> CaseResult {
    let mut template = case.template(["print third"]);
    let command = template.command.get_or_insert_default();
    command.extend(["print first".to_owned(), "print second".to_owned()]);
    let Some(finished) = finish(case, template, Capability::Command).await? else { return Ok(()) };
    same_bytes("what the program was told to print", &finished.log.stdout, b"first\nsecond\nthird\n")
}

async fn working_directory(case: &Case) -> CaseResult {
    let mut template = case.template(["pwd"]);
    template.working_directory = Some("/kit/work".to_owned());
    let Some(finished) = finish(case, template, Capability::WorkingDirectory).await? else { return Ok(()) };
    same("the working directory", finished.log.text().as_str(), "/kit/work\n")
}

async fn user(case: &Case) -> CaseResult {
    let mut template = case.template(["id"]);
    template.user = Some("1234:2345".to_owned());
    let Some(finished) = finish(case, template, Capability::User).await? else { return Ok(()) };
    same("the user and group", finished.log.text().as_str(), "uid=1234 gid=2345\n")
}

/// The network interfaces that the program sees, the loopback one left out.
fn interfaces(table: &str) -> Vec<String> {
    let names = table.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim().to_owned());
    names.filter(|name| name != "lo").collect()
}

async fn on_network(case: &Case, network: Network, capability: Capability) -> CaseResult<Option<Vec<String>>> {
    let mut template = case.template(["read /proc/net/dev"]);
    template.network = Some(network);
    let finished = finish(case, template, capability).await?;
    Ok(finished.and_then(|finished| of_the_kernel(&finished)).map(|table| interfaces(&table)))
}

async fn no_network(case: &Case) -> CaseResult {
    let Some(found) = on_network(case, Network::None, Capability::NetworkNone).await? else { return Ok(()) };
    let real: Vec<_> = found.into_iter().filter(|name| name.starts_with("eth") || name.starts_with("en")).collect();
    same("the interfaces without a network", real, vec![])
}

/// What gives a network a way out is often a program beside the executor: where it is missing, the plan says what to
/// install.
async fn private_network(case: &Case) -> CaseResult {
    let mut template = case.template(["exit 0"]);
    template.network = Some(Network::Private);
    if case.has(Capability::NetworkPrivate)
        && let Err(error) = case.plan(template)
    {
        let error = refused("a private network", Err::<(), _>(error), &[ErrorKind::Unsupported])?;
        holds(error.message().contains("network"), format!("the refusal names the network; found {error}"))?;
        return Err(Halt::NotOffered(error.message().to_owned()));
    }
    let Some(found) = on_network(case, Network::Private, Capability::NetworkPrivate).await? else { return Ok(()) };
    holds(!found.is_empty(), "a private network has an interface")
}

async fn network_of_the_host_by_name(case: &Case) -> CaseResult {
    if let Some(name) = case.harness.named_network() {
        let found = on_network(case, Network::Named(name), Capability::NetworkNamed).await?;
        return holds(found.is_none_or(|found| !found.is_empty()), "a network of the host has an interface");
    }
    let mut template = case.template(["exit 0"]);
    template.network = Some(Network::Named(NetworkName::new("kit-network-of-nobody")?));
    if !case.has(Capability::NetworkNamed) {
        return undeclared(case, &template, Capability::NetworkNamed);
    }
    refused_by_launch(case, template, "a network that nobody has made").await
}

/// Requires that the template is refused at the latest when it is launched, and leaves nothing.
async fn refused_by_launch(case: &Case, template: JobTemplate, what: &str) -> CaseResult {
    let kinds = [ErrorKind::Invalid, ErrorKind::Unsupported, ErrorKind::NotFound, ErrorKind::StartFailed];
    let request = match case.request(template) {
        Ok(request) => request,
        Err(error) => return refused(what, Err::<(), _>(error), &kinds).map(|_| ()),
    };
    refused(what, case.launch_request(request.clone()).await, &kinds)?;
    case.nothing_of(&request).await
}

async fn scratch_space_in_memory(case: &Case) -> CaseResult {
    let script = ["write /kit/scratch/file it holds", "read /kit/scratch/file", "read /proc/self/mountinfo"];
    let mut template = case.template(script);
    template.tmpfs.push(Tmpfs::new("/kit/scratch", Some(ByteSize::from_mib(8))));
    let Some(finished) = finish(case, template, Capability::Tmpfs).await? else { return Ok(()) };
    let text = finished.log.text();
    holds(text.starts_with("it holds\n"), format!("scratch space holds what is written to it; found {text:?}"))?;
    let Some(mounts) = of_the_kernel(&finished) else { return Ok(()) };
    let mount = mounts.lines().find(|line| line.contains(" /kit/scratch "));
    holds(mount.is_some_and(|line| line.contains("tmpfs")), format!("it is in memory; found {mount:?}"))
}

async fn folder_of_the_host(case: &Case) -> CaseResult {
    let mut template = case.template(["read /kit/mounted/kit", "write /kit/mounted/kit overwritten"]);
    let folder = case.harness.bind_folder();
    let source = folder.clone().unwrap_or_else(|| "/kit/folder/of/nobody".to_owned());
    template.mounts.push(Mount::new(MountSource::Bind(source), "/kit/mounted").read_only());
    if !case.has(Capability::BindMounts) {
        return undeclared(case, &template, Capability::BindMounts);
    }
    if folder.is_none() {
        return refused_by_launch(case, template, "a folder that the operator has not allowed").await;
    }
    let execution = case.launch_template(template).await?;
    let finished = case.finish(execution).await?;
    let text = finished.log.text();
    holds(text.starts_with("mounted"), format!("the mounted file holds `mounted`; found {text:?}"))?;
    same("the exit of a write to a read-only folder", finished.termination().exit_code, CAN_NOT_WRITE)
}

async fn limit_on_processes(case: &Case) -> CaseResult {
    let mut template = case.template(["children 200 2s", "print all of them"]);
    template.resources.pids = std::num::NonZeroU32::new(20);
    if case.has(Capability::PidsLimit) && !is_limited(case, PIDS, &template).await? {
        return Ok(());
    }
    let Some(finished) = finish(case, template, Capability::PidsLimit).await? else { return Ok(()) };
    holds(
        finished.termination().exit_code != Some(0),
        "a program that starts more processes than it may is refused some",
    )
}

/// A quarter of a CPU is no more than a quarter, give or take what the kernel counts late. What is busy elsewhere only
/// makes it less.
async fn limit_on_cpu(case: &Case) -> CaseResult {
    let mut template = case.template(["spin 2s", "read /proc/self/stat"]);
    template.resources.cpu = Cpu::from_millis(250);
    if case.has(Capability::CpuLimit) && !is_limited(case, CPU, &template).await? {
        return Ok(());
    }
    let Some(finished) = finish(case, template, Capability::CpuLimit).await? else { return Ok(()) };
    let granted = finished.execution.request.plan.template.resources.cpu.map_or(0, Cpu::millis);
    let spent = match of_the_kernel(&finished) {
        Some(line) => cpu_time(&line),
        None => finished.harvest.usage.cpu_time.map(|spent| spent.value().0),
    };
    let most = Duration::from_millis(u64::from(granted) * 2 + 300);
    let Some(spent) = spent else { return Ok(()) };
    holds(
        spent <= most,
        format!("in 2 s it spends at most {most:?} of CPU, as {granted}m are granted; found {spent:?}"),
    )
}

/// What a process has spent in the user's mode and the kernel's, by its line in `/proc/self/stat`
/// (`proc_pid_stat(5)`): fields 14 and 15, in hundredths of a second, where field 3 is the first behind the name.
fn cpu_time(line: &str) -> Option<Duration> {
    let behind = line.rsplit_once(')')?.1.split_whitespace().skip(14 - 3);
    let ticks: u64 = behind.take(2).map_while(|field| field.parse::<u64>().ok()).sum();
    Some(Duration::from_millis(ticks * 10))
}

async fn platform(case: &Case) -> CaseResult {
    let facts = case.executor.discover().await?;
    let own = facts.platforms.first().cloned();
    let mut template = case.template(["print on its own platform"]);
    template.platform = Some(own.clone().map_or_else(|| "linux/amd64".parse(), Ok)?);
    if let (true, None) = (case.has(Capability::Platform), &own) {
        return holds(false, "an executor that declares platforms says which ones its host runs");
    }
    let Some(finished) = finish(case, template, Capability::Platform).await? else { return Ok(()) };
    finished.exited(0)?;
    let mut template = case.template(["exit 0"]);
    let foreign: Platform = "plan9/mips64".parse()?;
    template.platform = Some(foreign);
    let kinds = [ErrorKind::Unsupported, ErrorKind::Invalid, ErrorKind::ImageUnavailable];
    refused("a platform that the host does not run", case.plan(template), &kinds)?;
    Ok(())
}
