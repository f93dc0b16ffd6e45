//! Secrets on their way to a job: resolved when it is launched, and shown to nobody.

use bytes::Bytes;
use longshore_core::{
    Error, ErrorKind, JobTemplate, Result, SecretBinding, SecretDelivery, SecretReference, SecretResolver,
};
use secrecy::{ExposeSecret, SecretSlice};

use crate::world::World;

/// The values of a job's secrets. There is nothing by which it could be shown.
#[derive(Default)]
pub(crate) struct Delivered {
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) files: Vec<(String, Bytes)>,
}

/// Finds the value of every secret of the job.
pub(crate) async fn deliver(template: &JobTemplate, world: &World, resolver: &dyn SecretResolver) -> Result<Delivered> {
    let mut delivered = Delivered::default();
    for binding in &template.secrets {
        let found = resolve(&binding.reference, world, resolver).await;
        let value = found.map_err(|error| error.with_context("secret", &binding.name))?;
        match binding.delivery {
            SecretDelivery::Env => delivered.variables.push((binding.name.to_string(), text(binding, &value)?)),
            _ => delivered.files.push((binding.name.to_string(), Bytes::copy_from_slice(value.expose_secret()))),
        }
    }
    Ok(delivered)
}

/// The value that the reference leads to: in the provider's own store, or where the launching program finds it.
pub(crate) async fn resolve(
    reference: &SecretReference,
    world: &World,
    resolver: &dyn SecretResolver,
) -> Result<SecretSlice<u8>> {
    let SecretReference::Provider(name) = reference else { return resolver.resolve(reference).await };
    if let Some(value) = world.secret(name) {
        return Ok(value);
    }
    match world.config().secrets.get(name) {
        Some(kept) if !matches!(kept, SecretReference::Provider(_)) => resolver.resolve(kept).await,
        _ => Err(Error::new(ErrorKind::SecretUnavailable, format!("the provider keeps no secret for {reference}"))),
    }
}

fn text(binding: &SecretBinding, value: &SecretSlice<u8>) -> Result<String> {
    let text = std::str::from_utf8(value.expose_secret()).ok().filter(|text| !text.contains('\0'));
    text.map(str::to_owned).ok_or_else(|| {
        let message = "the secret is not text and can't be a variable; deliver it as a file";
        Error::new(ErrorKind::SecretUnavailable, message).with_context("secret", &binding.name)
    })
}
