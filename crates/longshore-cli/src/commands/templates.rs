//! `longshore templates`: templates that are kept in the database.

use comfy_table::{ContentArrangement, Table, presets};
use longshore::store::SavedTemplate;
use longshore::{Error, ErrorKind, JobName, Result, config::DescribedJob};
use std::path::Path;

use super::{notice, print, unwritable};
use crate::{
    args::{StoreArgs, TemplatesCommand},
    configuration::{self, unusable},
    database::Database,
    text::{clean, json_line},
};

/// Does what was asked, and returns the program's exit code.
///
/// # Errors
/// When there is no such template, or with everything that is wrong with the file; as the database answers.
pub(crate) async fn templates(command: &TemplatesCommand) -> Result<u8> {
    match command {
        TemplatesCommand::List { store, json } => list(store, *json).await,
        TemplatesCommand::Show { name, store } => show(store, name).await,
        TemplatesCommand::Save { file, why, store } => save(store, file, why.as_deref()).await,
        TemplatesCommand::Remove { name, store } => remove(store, name).await,
    }
    .map(|()| 0)
}

async fn list(args: &StoreArgs, json: bool) -> Result<()> {
    let saved = Database::open(args).await?.store.templates().await?;
    print(&if json { json_line(&saved).map_err(unwritable)? } else { table(&saved) })
}

fn table(templates: &[SavedTemplate]) -> String {
    if templates.is_empty() {
        return "no templates\n".to_owned();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["NAME", "IMAGE", "BY", "SINCE", "WHY"]);
    for SavedTemplate { template, request, .. } in templates {
        table.add_row([
            template.name.to_string(),
            clean(&template.image.to_string()),
            clean(&request.by.to_string()),
            format!("{:.0}", request.at),
            request.why.as_deref().map(clean).unwrap_or_default(),
        ]);
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

async fn show(args: &StoreArgs, name: &str) -> Result<()> {
    let name: JobName = name.parse()?;
    let saved = Database::open(args).await?.store.template(&name).await?;
    let text = serde_json::to_string_pretty(&saved.template).map_err(unwritable)?;
    print(&format!("{text}\n"))
}

async fn save(args: &StoreArgs, file: &Path, why: Option<&str>) -> Result<()> {
    let (job, warnings) = configuration::loader().read_job(file, None).map_err(unusable)?;
    warnings.to_string().lines().for_each(notice);
    only_a_template(&job, file)?;
    let name = job.template.name.clone();
    let database = Database::open(args).await?;
    let request = database.request(why).await?;
    database.store.save_template(SavedTemplate::new(job.template, request)).await?;
    print(&format!("{name} is kept\n"))
}

/// What a job has beside its template would be lost.
fn only_a_template(job: &DescribedJob, file: &Path) -> Result<()> {
    if *job == DescribedJob::new(job.template.clone()) {
        return Ok(());
    }
    let message = format!(
        "{} says more than a template can hold; leave out preferred_executor, created_by, priority, retry and \
         queue_timeout, which are said when a job is handed in",
        file.display()
    );
    Err(Error::new(ErrorKind::Invalid, message))
}

async fn remove(args: &StoreArgs, name: &str) -> Result<()> {
    let name: JobName = name.parse()?;
    let store = Database::open(args).await?.store;
    if store.remove_template(&name).await? {
        return print(&format!("{name} is removed\n"));
    }
    // Told with the names that there are.
    store.template(&name).await.map(drop)
}
