//! What a job begins from: a template of the configuration, or a file.

use longshore::{
    Error, ErrorKind, Result,
    config::{Config, DescribedJob, Loader},
    suggestion,
};

use crate::{args::JobArgs, configuration::unusable, reader::Reader};

/// The job that a template or a file describes, where one is named.
///
/// # Errors
/// `Invalid` when there is no such template, or with everything that is wrong with the file.
pub(crate) fn begun(
    reader: &mut Reader,
    args: &JobArgs,
    loader: &Loader,
    config: Option<&Config>,
) -> Result<Option<DescribedJob>> {
    if let Some(path) = &args.file {
        let (job, warnings) = loader.read_job(path, config).map_err(unusable)?;
        warnings.to_string().lines().for_each(|warning| reader.notice(warning.to_owned()));
        return Ok(Some(job));
    }
    let Some(name) = &args.template else { return Ok(None) };
    let Some(config) = config else {
        let message = format!("--template {name:?}: templates are in the configuration, and there is none");
        return Err(Error::new(ErrorKind::Invalid, message));
    };
    if let Some(template) = config.templates().get(name) {
        return Ok(Some(DescribedJob::new(template.clone())));
    }
    let known = config.templates().keys().map(String::as_str);
    let way_out = suggestion(name, known, "the configuration has none");
    Err(Error::new(ErrorKind::Invalid, format!("--template {name:?}: there is no such template; {way_out}")))
}
