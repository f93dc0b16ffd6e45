//! `longshore hosts pause`, `resume` and `paused`.

use comfy_table::{ContentArrangement, Table, presets};
use longshore::store::Pause;
use longshore::{Error, ErrorKind, HostName, Result, suggestion};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{notice, own_variable, print};
use crate::{
    args::{PauseArgs, StoreArgs},
    choice::{DOCKER, EMBEDDED},
    configuration,
    database::{Address, Database},
    host,
    machine::Machine,
    reader::Reader,
    text::{clean, json_line},
};

/// Pauses hosts, or everything.
///
/// # Errors
/// When there is no such host; as the database answers.
pub(crate) async fn pause(args: &PauseArgs) -> Result<u8> {
    let hosts = hosts(args)?;
    let database = Database::open(&args.store).await?;
    let mut paused = Vec::new();
    for host in hosts {
        let name = name_of(host.as_ref());
        let pause = Pause::new(host, database.request(args.why.as_deref()).await?);
        database.store.pause(pause.clone()).await?;
        paused.push(pause);
        if !args.json {
            print(&format!("{name} is paused; what runs goes on\n"))?;
        }
    }
    if args.json {
        print(&json_line(&paused).map_err(super::unwritable)?)?;
    }
    Ok(0)
}

/// What became of one pause: what `longshore hosts resume --json` prints a list of.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Resumed {
    /// The host; absent for the pause of everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// Whether there was a pause to end.
    pub was_paused: bool,
}

/// Ends the pause of hosts, or that of everything.
///
/// # Errors
/// When there is no such host; as the database answers.
pub(crate) async fn resume(args: &PauseArgs) -> Result<u8> {
    let hosts = hosts(args)?;
    let database = Database::open(&args.store).await?;
    let mut resumed = Vec::new();
    for host in &hosts {
        let was_paused = database.store.resume(host.as_ref(), database.request(args.why.as_deref()).await?).await?;
        resumed.push(Resumed { host: host.clone(), was_paused });
        let words = if was_paused { "takes jobs again" } else { "was not paused" };
        if !args.json {
            print(&format!("{} {words}\n", name_of(host.as_ref())))?;
        }
    }
    if args.json {
        print(&json_line(&resumed).map_err(super::unwritable)?)?;
    }
    for pause in database.store.pauses().await? {
        let is_meant = pause.host.is_none() && hosts.iter().any(Option::is_some);
        if is_meant {
            notice("everything is still paused; `longshore hosts resume --all` ends that");
        }
    }
    Ok(0)
}

/// Lists the pauses in force.
///
/// # Errors
/// As the database answers.
pub(crate) async fn paused(args: &StoreArgs, json: bool) -> Result<u8> {
    let pauses = Database::open(args).await?.store.pauses().await?;
    print(&if json { json_line(&pauses).map_err(super::unwritable)? } else { table(&pauses) }).map(|()| 0)
}

fn table(pauses: &[Pause]) -> String {
    if pauses.is_empty() {
        return "nothing is paused\n".to_owned();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["HOST", "BY", "SINCE", "WHY"]);
    for pause in pauses {
        let request = &pause.request;
        let why = request.why.as_deref().map(clean).unwrap_or_default();
        let (name, by) = (name_of(pause.host.as_ref()), clean(&request.by.to_string()));
        table.add_row([name, by, format!("{:.0}", request.at), why]);
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn name_of(host: Option<&HostName>) -> String {
    host.map_or_else(|| "everything".to_owned(), ToString::to_string)
}

/// The hosts that are meant. With a configuration they are among its hosts, or run jobs without one.
fn hosts(args: &PauseArgs) -> Result<Vec<Option<HostName>>> {
    if args.all {
        return Ok(vec![None]);
    }
    let mut reader = Reader::default();
    let names: Vec<HostName> = reader.each("NAME", &args.names, str::parse);
    reader.finish()?;
    let known = known(args)?;
    for name in &names {
        if !known.is_empty() && !known.iter().any(|host| host == name.as_str()) && !is_marked(name) {
            let way_out = suggestion(name.as_str(), known.iter().map(String::as_str), "none is configured");
            return Err(Error::new(ErrorKind::Invalid, format!("there is no host {name}; {way_out}")));
        }
    }
    Ok(names.into_iter().map(Some).collect())
}

/// Whether it is named as hosts are that options describe, or that are another machine's.
fn is_marked(name: &HostName) -> bool {
    [DOCKER, EMBEDDED].iter().filter_map(|kind| name.as_str().strip_prefix(kind)).any(|rest| rest.starts_with('-'))
}

/// The names of hosts; none without a configuration, where any may be used.
fn known(args: &PauseArgs) -> Result<Vec<String>> {
    let Some(config) = configuration::load(&args.configuration, &configuration::loader())? else {
        return Ok(Vec::new());
    };
    let machine = Machine::sharing(&Address::of(&args.store)?);
    let own = [DOCKER, EMBEDDED].map(|kind| host::unconfigured(kind, &own_variable, &machine));
    let own = own.into_iter().collect::<Result<Vec<_>>>()?;
    Ok(config.hosts().chain(&own).map(|host| host.name.to_string()).collect())
}
