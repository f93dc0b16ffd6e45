//! `longshore route`: where a job would run, and why.

use longshore::{
    Clock, Owner, Result, SystemClock,
    route::{RouteDecision, RouteOutcome},
};

use super::{notice, own_folder, own_variable, print};
use crate::{
    args::{RouteArgs, StoreArgs},
    configuration, database, described, env_file, job,
    reader::Reader,
    routing::Routing,
    text::{clean_lines, json_line},
};

/// No host ever takes the job.
const NEVER: u8 = 1;
/// The job would wait.
const NOT_NOW: u8 = 2;

/// Decides, prints the decision, and returns the program's exit code.
///
/// # Errors
/// When there is no configuration, or something is wrong with it or with the options.
pub(crate) async fn route(args: &RouteArgs) -> Result<u8> {
    let files = args.job.container.env_file.iter().map(|path| env_file::read(path)).collect::<Result<Vec<_>>>()?;
    let loader = configuration::loader();
    let config = configuration::needed(&args.configuration, &loader)?;
    let mut reader = Reader::default();
    let begun = described::begun(&mut reader, &args.job, &loader, Some(&config), &StoreArgs::default()).await?;
    let job = job::job(&mut reader, &args.job, begun, &files.concat(), &own_variable, &own_folder())?;
    let bound = configuration::target(&mut reader, args.executor.as_deref(), &config);
    let owner: Option<Owner> = reader.one("--owner", args.owner.as_deref());
    reader.finish()?.iter().for_each(|text| notice(text));
    let owner = match owner {
        Some(owner) => owner,
        None => database::usual_owner(args.offline).await?,
    };
    let routing = Routing::new(&config, loader.registry(), owner)?;
    if args.offline {
        routing.router.update(longshore::route::RoutingSnapshot::assuming_reachable);
    } else {
        routing.look(None).await;
    }
    let decision = routing.route(&job.into_job(SystemClock.now()), bound.as_ref()).decision;
    print(&shown(args, &decision)?)?;
    Ok(match decision.outcome {
        RouteOutcome::Chosen { .. } => 0,
        RouteOutcome::NotNow { .. } => NOT_NOW,
        _ => NEVER,
    })
}

fn shown(args: &RouteArgs, decision: &RouteDecision) -> Result<String> {
    if args.json {
        return json_line(decision).map_err(super::unwritable);
    }
    let text = clean_lines(&decision.to_string());
    // The first lines are the outcome and its reason; behind an empty line come the stages.
    let brief = text.split("\n\n").next().unwrap_or(&text);
    Ok(if args.explain { text } else { format!("{}\n", brief.trim_end()) })
}
