//! `longshore jobs`: the jobs that are kept, and what people ask of them.

mod change;
mod list;
mod logs;
mod show;
mod wait;

use longshore::Result;

use crate::args::JobsCommand;

/// Does what was asked, and returns the program's exit code.
///
/// # Errors
/// When something is wrong with the options; as the database answers.
pub(crate) async fn jobs(command: &JobsCommand) -> Result<u8> {
    match command {
        JobsCommand::List(args) => list::list(args).await,
        JobsCommand::Show(args) => show::show(args).await,
        JobsCommand::Logs(args) => logs::logs(args).await,
        JobsCommand::Wait(args) => wait::wait(args).await,
        JobsCommand::Cancel(args) => change::cancel(args).await,
        JobsCommand::Retry(args) => change::retry(args).await,
        JobsCommand::Settle(args) => change::settle_lost(&args.change).await,
        JobsCommand::Prioritize { priority, change } => change::prioritize(priority, change).await,
    }
}
