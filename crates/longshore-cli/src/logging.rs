//! What `--verbose` and `LONGSHORE_LOG` tell, on stderr.

use longshore::{Error, ErrorKind, Result};
use std::io::{self, IsTerminal};
use tracing::Metadata;
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::filter_fn,
    fmt::{self, format::FmtSpan},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

const VERBOSE: &str = "longshore=debug";

/// Begins to tell; without `--verbose` or a filter, nothing is told.
///
/// # Errors
/// `Invalid` for a filter that can't be read.
pub(crate) fn start(verbose: bool, filter: Option<&str>) -> Result<()> {
    let Some(filter) = filter.filter(|filter| !filter.is_empty()).or(verbose.then_some(VERBOSE)) else { return Ok(()) };
    let chosen = EnvFilter::try_new(filter).map_err(|error| {
        let message = "LONGSHORE_LOG can't be read; write a level or TARGET=LEVEL, such as longshore_docker=debug";
        Error::new(ErrorKind::Invalid, message).with_source(error)
    })?;
    let lines = fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_span_events(FmtSpan::NEW | FmtSpan::CLOSE);
    let layer = lines.with_filter(chosen).with_filter(filter_fn(is_ours));
    // Only a second call could fail, and then the first one's choice stands.
    let _ = tracing_subscriber::registry().with(layer).try_init();
    Ok(())
}

/// Only Longshore's own crates are heard, whatever the filter says: the engine's client and the HTTP library write
/// whole request bodies at debug level, with the values of environment variables in them.
fn is_ours(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    target == "longshore" || target.starts_with("longshore_") || target.starts_with("longshore::")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tracing::{Event, Subscriber, subscriber::with_default};
    use tracing_subscriber::{layer::Context, registry};

    struct Heard(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Heard {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            self.0.lock().unwrap().push(event.metadata().target().to_owned());
        }
    }

    #[test]
    fn others_are_never_heard() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let layer = Heard(Arc::clone(&heard)).with_filter(EnvFilter::new("trace")).with_filter(filter_fn(is_ours));
        let said: [fn(); 4] = [
            || tracing::error!(target: "bollard::docker", "body"),
            || tracing::error!(target: "hyper_util::client", "body"),
            || tracing::error!(target: "longshorebutnot", "body"),
            || tracing::trace!(target: "longshore_docker::client", "ours"),
        ];
        with_default(registry().with(layer), || said.into_iter().for_each(|say| say()));
        assert_eq!(*heard.lock().unwrap(), ["longshore_docker::client"]);
    }

    #[test]
    fn a_filter_that_means_nothing_is_refused() {
        assert_eq!(start(false, Some("longshore=loud")).unwrap_err().kind(), ErrorKind::Invalid);
        assert!(start(false, None).is_ok());
    }
}
