//! What a job begins from: a template of the configuration or of the database, or a file.

use longshore::{
    Error, ErrorKind, JobName, Result,
    config::{Config, DescribedJob, Loader},
    suggestion,
};

use crate::{
    args::{JobArgs, StoreArgs},
    configuration::unusable,
    database::{Address, Database},
    reader::Reader,
};

/// The job that a template or a file describes, where one is named. Templates of the configuration come first.
///
/// # Errors
/// `Invalid` when there is no such template, or with everything that is wrong with the file; as the database answers.
pub(crate) async fn begun(
    reader: &mut Reader,
    args: &JobArgs,
    loader: &Loader,
    config: Option<&Config>,
    store: &StoreArgs,
) -> Result<Option<DescribedJob>> {
    if let Some(path) = &args.file {
        let (job, warnings) = loader.read_job(path, config).map_err(unusable)?;
        warnings.to_string().lines().for_each(|warning| reader.notice(warning.to_owned()));
        return Ok(Some(job));
    }
    let Some(name) = &args.template else { return Ok(None) };
    if let Some(template) = config.and_then(|config| config.templates().get(name)) {
        return Ok(Some(DescribedJob::new(template.clone())));
    }
    let kept = match name.parse() {
        Ok(name) => kept(&name, store).await?,
        Err(_) => Kept::default(),
    };
    match kept.found {
        Some(job) => Ok(Some(job)),
        None => Err(missing(name, config, &kept.others)),
    }
}

/// What the database says of a template.
#[derive(Default)]
struct Kept {
    found: Option<DescribedJob>,
    others: Vec<JobName>,
}

async fn kept(name: &JobName, store: &StoreArgs) -> Result<Kept> {
    if !Address::is_there(store) && !Address::is_named(store) {
        return Ok(Kept::default());
    }
    let database = Database::open(store).await?;
    match database.store.template(name).await {
        Ok(saved) => Ok(Kept { found: Some(DescribedJob::new(saved.template)), ..Kept::default() }),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let others = database.store.templates().await?.into_iter().map(|saved| saved.template.name).collect();
            Ok(Kept { found: None, others })
        }
        Err(error) => Err(error),
    }
}

fn missing(name: &str, config: Option<&Config>, kept: &[JobName]) -> Error {
    let configured = config.into_iter().flat_map(|config| config.templates().keys()).map(String::as_str);
    let known = configured.chain(kept.iter().map(JobName::as_str));
    let way_out = suggestion(name, known, "neither the configuration nor the database has one");
    Error::new(ErrorKind::Invalid, format!("--template {name:?}: there is no such template; {way_out}"))
}
