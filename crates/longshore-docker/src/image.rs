//! Having the image before the launch.

use bollard::{models::CreateImageInfo, query_parameters::CreateImageOptions};
use bytes::Bytes;
use futures::StreamExt;
use longshore_core::{
    Error, ErrorKind, ImageReference, ImageSource, JobTemplate, Platform, PrepareProgress, Progress, PullPolicy,
    RegistryLogins, Result, SecretResolver,
};
use std::path::Path;

use crate::{client::Engine, config::DockerConfig, credentials, mapping::create::image_name, transport::Endpoint};

/// Pulls the image where the template's policy says so.
pub(crate) async fn prepare(
    engine: &Engine,
    template: &JobTemplate,
    secrets: &dyn SecretResolver,
    docker_config: Option<&Path>,
    progress: &Progress,
) -> Result<()> {
    let name = image_name(template);
    let present =
        template.pull_policy != PullPolicy::Always && is_present(engine, &name, template.platform.as_ref()).await?;
    match template.pull_policy {
        PullPolicy::Never if !present => Err(missing(&name)),
        PullPolicy::Always | PullPolicy::IfMissing if !present => {
            let ImageSource::Registry(reference) = &template.image else { return Err(missing(&name)) };
            let logins = RegistryLogins::new(template.registry_credentials.as_ref(), secrets, docker_config);
            let credentials = logins.find(reference).await?.map(credentials::from_login);
            pull(engine, options(reference, template.platform.as_ref()), credentials, progress)
                .await
                .map_err(|error| error.with_context("image", &name))
        }
        _ => Ok(()),
    }
}

/// Loads an image archive, as `docker save` writes it, into the engine of the given configuration: for images that
/// are made on the spot and that no registry has. Loading the same archive again changes nothing.
///
/// Not cancel-safe: the engine may have the image although the future was dropped.
///
/// # Errors
/// `Invalid` when the engine's address or its certificates are, `Unavailable` when no engine answers, and whatever
/// the engine says of an archive that it can't read.
pub async fn load_image(config: &DockerConfig, archive: Bytes) -> Result<()> {
    Engine::new(Endpoint::from_config(config)?).load(archive).await
}

fn missing(name: &str) -> Error {
    let message = format!("the host does not have the image {name}, and the pull policy says never to fetch it");
    Error::new(ErrorKind::ImageUnavailable, message).with_operation("prepare")
}

async fn is_present(engine: &Engine, name: &str, platform: Option<&Platform>) -> Result<bool> {
    let image = match engine.image(name).await {
        Ok(image) => image,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let Some(wanted) = platform else { return Ok(true) };
    let has = format!("{}/{}", image.os.unwrap_or_default(), image.architecture.unwrap_or_default());
    Ok(has.parse().is_ok_and(|has: Platform| wanted.runs_on(&has)))
}

fn options(reference: &ImageReference, platform: Option<&Platform>) -> CreateImageOptions {
    let tag = reference.digest().or_else(|| reference.tag()).unwrap_or("latest");
    CreateImageOptions {
        from_image: Some(reference.name()),
        tag: Some(tag.to_owned()),
        platform: platform.map(ToString::to_string).unwrap_or_default(),
        ..CreateImageOptions::default()
    }
}

async fn pull(
    engine: &Engine,
    options: CreateImageOptions,
    credentials: Option<bollard::auth::DockerCredentials>,
    progress: &Progress,
) -> Result<()> {
    let mut steps = std::pin::pin!(engine.pull(options, credentials).await?);
    while let Some(step) = steps.next().await {
        progress.report(report(step?));
    }
    Ok(())
}

fn report(step: CreateImageInfo) -> PrepareProgress {
    let bytes = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok());
    let detail = step.progress_detail;
    let (done, total) = detail.map_or((None, None), |detail| (bytes(detail.current), bytes(detail.total)));
    PrepareProgress::new(step.status.unwrap_or_default(), step.id, done, total)
}
