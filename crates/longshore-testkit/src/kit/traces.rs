//! What an executor says through `tracing`, kept for a look at whether it says too much.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};
use tracing::{level_filters::LevelFilter, subscriber::DefaultGuard};
use tracing_subscriber::fmt::MakeWriter;

/// Keeps everything that is traced on this thread while it lives, down to the finest level.
pub(crate) struct Traces {
    written: Written,
    _guard: DefaultGuard,
}

impl Traces {
    pub(crate) fn begin() -> Self {
        let written = Written::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_ansi(false)
            .with_writer(written.clone())
            .finish();
        Self { written, _guard: tracing::subscriber::set_default(subscriber) }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.written.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

#[derive(Debug, Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Written {
    type Writer = Self;

    fn make_writer(&'a self) -> Self::Writer {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_traced_is_kept() {
        let traces = Traces::begin();
        tracing::trace!(canary = "sings", "in the mine");
        tracing::debug_span!("shaft").in_scope(|| tracing::info!("deeper"));
        let text = traces.text();
        assert!(text.contains("in the mine") && text.contains("sings") && text.contains("shaft"), "{text}");
    }
}
