//! Fetching an image that need not be fetched, with all that can go wrong on the way.

use longshore_core::{Error, ErrorKind, JobTemplate, PrepareProgress, Progress, PullPolicy, Result, SecretResolver};

use crate::{behaviour::Behaviour, provider::MockProvider, secrets};

/// The size in bytes that every image is said to have.
const IMAGE_SIZE: u64 = 32 << 20;
/// In how many steps it is fetched.
const STEPS: u32 = 4;

/// Fetches the image in the time that is scripted, unless the host has it.
pub(crate) async fn prepare(
    provider: &MockProvider,
    template: &JobTemplate,
    behaviour: &Behaviour,
    resolver: &dyn SecretResolver,
    progress: &Progress,
) -> Result<()> {
    let world = provider.world();
    if !world.config().images.has(&template.image) {
        return Err(Error::new(ErrorKind::ImageUnavailable, format!("there is no image {}", template.image)));
    }
    if let Some(credentials) = &template.registry_credentials {
        let password = secrets::resolve(&credentials.password, world, resolver).await;
        password.map_err(|error| error.with_context("registry user", &credentials.username))?;
    }
    let image = template.image.to_string();
    let is_there = template.pull_policy == PullPolicy::Never || world.view(|state, _| state.has_pulled(&image));
    if is_there && template.pull_policy != PullPolicy::Always {
        return Ok(());
    }
    let pause = behaviour.prepare.unwrap_or_default() / STEPS;
    for step in 1..=STEPS {
        if !pause.is_zero() {
            world.clock().sleep(pause).await;
        }
        provider.check_contact()?;
        let done = IMAGE_SIZE / u64::from(STEPS) * u64::from(step);
        progress.report(PrepareProgress::new("Downloading", Some(image.clone()), Some(done), Some(IMAGE_SIZE)));
    }
    world.change(|state, _| state.pull(image));
    Ok(())
}
