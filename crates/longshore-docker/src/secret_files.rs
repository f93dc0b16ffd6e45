//! Secrets on their way into a container: as an archive for `/run/secrets`, or as variables.

use bytes::Bytes;
use longshore_core::{
    Error, ErrorKind, JobTemplate, Result, SecretBinding, SecretDelivery, SecretResolver, secret_variable,
};
use secrecy::ExposeSecret;

/// The archive of all secrets that are delivered as files, readable by whoever the job runs as.
pub(crate) async fn archive(template: &JobTemplate, secrets: &dyn SecretResolver) -> Result<Bytes> {
    let mut archive = tar::Builder::new(Vec::new());
    for secret in bindings(template, SecretDelivery::File) {
        let value = secrets.resolve(&secret.reference).await?;
        let mut header = tar::Header::new_gnu();
        header.set_size(value.expose_secret().len() as u64);
        header.set_mode(0o444);
        let added = archive.append_data(&mut header, secret.name.as_str(), value.expose_secret());
        added.map_err(|error| unpackable(secret).with_source(error))?;
    }
    archive
        .into_inner()
        .map(Bytes::from)
        .map_err(|error| Error::new(ErrorKind::Unexpected, "the secrets can't be packed").with_source(error))
}

/// `NAME=VALUE` for each secret that is delivered as a variable.
pub(crate) async fn variables(template: &JobTemplate, secrets: &dyn SecretResolver) -> Result<Vec<String>> {
    let mut variables = Vec::new();
    for secret in bindings(template, SecretDelivery::Env) {
        variables.push(secret_variable(&secret.name, &secrets.resolve(&secret.reference).await?)?);
    }
    Ok(variables)
}

fn bindings(template: &JobTemplate, delivery: SecretDelivery) -> impl Iterator<Item = &SecretBinding> {
    template.secrets.iter().filter(move |secret| secret.delivery == delivery)
}

fn unpackable(secret: &SecretBinding) -> Error {
    Error::new(ErrorKind::Unexpected, format!("the secret {} can't be packed", secret.name))
}
