//! What `--verbose` and `LONGSHORE_LOG` tell, on stderr, and what services tell without them.

use longshore::{Error, ErrorKind, Result};
use std::{
    fmt::{self, Write},
    io::{self, IsTerminal},
};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::filter_fn,
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::{FmtSpan, Writer},
    },
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use crate::text::clean;

const VERBOSE: &str = "longshore=debug";

/// Begins to tell; without `--verbose` or a filter, a service tells what goes wrong, and nothing else is told.
///
/// # Errors
/// `Invalid` for a filter that can't be read.
pub(crate) fn start(verbose: bool, filter: Option<&str>, is_service: bool) -> Result<()> {
    let Some(filter) = filter.filter(|filter| !filter.is_empty()).or(verbose.then_some(VERBOSE)) else {
        if is_service {
            start_warnings();
        }
        return Ok(());
    };
    let chosen = EnvFilter::try_new(filter).map_err(|error| {
        let message = "LONGSHORE_LOG can't be read; write a level or TARGET=LEVEL, such as longshore_docker=debug";
        Error::new(ErrorKind::Invalid, message).with_source(error)
    })?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_span_events(FmtSpan::NEW | FmtSpan::CLOSE);
    let layer = lines.with_filter(chosen).with_filter(filter_fn(is_ours));
    // Only a second call could fail, and then the first one's choice stands.
    let _ = tracing_subscriber::registry().with(layer).try_init();
    Ok(())
}

fn start_warnings() {
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(false).event_format(Plain);
    let _ = tracing_subscriber::registry().with(lines.with_filter(filter_fn(is_warning))).try_init();
}

/// Warnings of our own, and the spans that tell what they are about.
fn is_warning(metadata: &Metadata<'_>) -> bool {
    let least = if metadata.is_span() { Level::INFO } else { Level::WARN };
    is_ours(metadata) && *metadata.level() <= least
}

/// As the program says everything: `longshore: what: why (what it is about)`.
struct Plain;

impl<S, N> FormatEvent<S, N> for Plain
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut said = Said::default();
        event.record(&mut said);
        for span in ctx.event_scope().into_iter().flatten() {
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>() {
                let _ = write!(said.about, " {fields}");
            }
        }
        let Said { what, why, about } = said;
        let about = if about.is_empty() { about } else { format!(" ({})", about.trim_start()) };
        writeln!(writer, "longshore: {}", clean(&format!("{what}{why}{about}")))
    }
}

/// The parts of an event.
#[derive(Default)]
struct Said {
    what: String,
    why: String,
    about: String,
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.what, "{value:?}"),
            "error" | "why" => write!(self.why, ": {value:?}"),
            name => write!(self.about, " {name}={value:?}"),
        };
    }
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

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_warning_is_said_as_everything_else() {
        let written = Written::default();
        let writer = written.clone();
        let lines = tracing_subscriber::fmt::layer().with_ansi(false).event_format(Plain);
        let layer = lines.with_writer(move || writer.clone()).with_filter(filter_fn(is_warning));
        let said: [fn(); 3] = [
            || tracing::warn!(target: "longshore_dispatcher", error = "refused\u{1b}[2J", host = "home", "can't be kept"),
            || tracing::info!(target: "longshore_dispatcher", "all is well"),
            || tracing::warn!(target: "bollard", "theirs"),
        ];
        let within = || tracing::info_span!(target: "longshore_dispatcher", "attempt", token = 7);
        with_default(registry().with(layer), || within().in_scope(|| said.into_iter().for_each(|say| say())));
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text, "longshore: can't be kept: refused[2J (host=home token=7)\n");
    }

    #[test]
    fn a_filter_that_means_nothing_is_refused() {
        assert_eq!(start(false, Some("longshore=loud"), true).unwrap_err().kind(), ErrorKind::Invalid);
        assert!(start(false, None, false).is_ok());
    }
}
