//! What do the engines log? An ERROR is a bug of ours and ends the simulation; a test may read all.

use core::{cell::RefCell, fmt};
use std::sync::{Arc, Mutex, Once};

use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};
use tracing_subscriber::{Layer, layer::Context, prelude::*, registry::LookupSpan};

thread_local! {
    static ERRORS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Watches for errors from now on, in every thread.
pub(crate) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // A test may have a subscriber of its own; then that one watches.
        let _ =
            tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Errors));
    });
}

/// Ends the simulation if this thread has logged an error.
///
/// # Panics
/// If so.
pub(crate) fn no_errors() {
    let errors = ERRORS.with_borrow_mut(std::mem::take);
    assert!(errors.is_empty(), "errors were logged: {errors:?}");
}

struct Errors;

impl<S: Subscriber> Layer<S> for Errors {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        *metadata.level() == Level::ERROR
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        note_error(event);
    }
}

fn note_error(event: &Event<'_>) {
    if *event.metadata().level() == Level::ERROR {
        ERRORS.with_borrow_mut(|errors| errors.push(line(event.metadata(), |v| event.record(v))));
    }
}

/// Everything that is logged, one line for each event and span, all levels and fields.
#[derive(Debug, Clone, Default)]
pub struct Everything(Arc<Mutex<Vec<String>>>);

impl Everything {
    /// What was logged while `run` ran in this thread.
    pub fn logged(run: impl FnOnce()) -> Vec<String> {
        let all = Self::default();
        let subscriber = tracing_subscriber::registry().with(all.clone());
        tracing::subscriber::with_default(subscriber, run);
        let lines = all.0.lock().expect("nobody panicked");
        lines.clone()
    }

    fn push(&self, line: String) {
        self.0.lock().expect("nobody panicked").push(line);
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Everything {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        note_error(event);
        self.push(line(event.metadata(), |visit| event.record(visit)));
    }

    fn on_new_span(&self, attributes: &span::Attributes<'_>, _: &span::Id, _: Context<'_, S>) {
        self.push(line(attributes.metadata(), |visit| attributes.record(visit)));
    }

    fn on_record(&self, _: &span::Id, values: &span::Record<'_>, _: Context<'_, S>) {
        let mut fields = Fields(String::new());
        values.record(&mut fields);
        self.push(fields.0);
    }
}

fn line(metadata: &Metadata<'_>, record: impl FnOnce(&mut Fields)) -> String {
    let mut fields = Fields(format!("{} {}", metadata.level(), metadata.target()));
    record(&mut fields);
    fields.0
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        use fmt::Write;
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}
