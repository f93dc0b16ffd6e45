//! From a file to a configuration.

use longshore_core::{ContainerExecutor, ExecutionHost, ExecutorRegistry};
use schemars::schema_for;
use serde_json::Value;
use std::{collections::BTreeMap, fs::File, io::Read, ops::Range, path::Path, sync::Arc};

use crate::{
    Config, Environment, Format, Problems, TestOutcome, check,
    document::Document,
    reading,
    report::Report,
    shape::Shape,
    source::Source,
    spec::{DescribedJob, JobSpec},
    tree::{Node, Origin},
};

/// The largest file that is read, in bytes.
const LARGEST: u64 = 8 * 1024 * 1024;

/// Reads configurations: knows the executors that a program has, and its environment.
#[derive(Debug, Clone, Default)]
pub struct Loader {
    registry: ExecutorRegistry,
    environment: Environment,
}

impl Loader {
    /// Reads with these executors, and without an environment.
    #[must_use]
    pub fn new(registry: ExecutorRegistry) -> Self {
        Self { registry, environment: Environment::default() }
    }

    /// The same with the variables that replace values and that references lead to.
    #[must_use]
    pub fn with_environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// The executors.
    #[must_use]
    pub const fn registry(&self) -> &ExecutorRegistry {
        &self.registry
    }

    /// Reads a file, in the format that its name says.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(&self, path: &Path) -> Result<Config, Problems> {
        self.parse(path, &text_of(path)?)
    }

    /// Reads the text of a file. References to files begin at the folder of `path`, which need not exist.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(&self, path: &Path, text: &str) -> Result<Config, Problems> {
        let (config, report) = self.examine(path, text);
        let problems = report.finish();
        let Some(config) = config.filter(|_| !problems.has_errors()) else { return Err(problems) };
        Ok(Config { warnings: problems, ..config })
    }

    /// Checks a file: reads it, makes the executor of every host, runs the routing tests, and tells everything that is
    /// wrong at once.
    #[must_use]
    pub fn check(
        &self,
        path: &Path,
        build: impl FnMut(&ExecutionHost) -> longshore_core::Result<Arc<dyn ContainerExecutor>>,
    ) -> Checked {
        let (config, mut report) = match text_of(path) {
            Ok(text) => self.examine(path, &text),
            Err(problems) => return Checked { hosts: 0, tests: Vec::new(), problems },
        };
        let mut tests = Vec::new();
        let hosts = config.as_ref().map_or(0, |config| config.hosts().count());
        if let Some(config) = config {
            let was_good = !report.has_errors();
            let table = config.build(&[], build, &mut report).filter(|_| was_good);
            tests = table.map(|table| config.run_tests(&Arc::new(table))).unwrap_or_default();
            config.note_failures(&tests, &mut report);
        }
        Checked { hosts, tests, problems: report.finish() }
    }

    /// As much of the configuration as can be made out, and what is wrong with it.
    fn examine(&self, path: &Path, text: &str) -> (Option<Config>, Report) {
        let text = without_mark(text);
        let mut report = Report::new(Source::new(&path.display().to_string(), text));
        let schema = schema_for!(Document).to_value();
        let shape = Shape::of(&schema);
        let Some(mut tree) = tree(path, text, &mut report) else { return (None, report) };
        let mut secrets = Vec::new();
        self.environment.apply(&mut tree, shape, &self.registry, &mut secrets, &mut report);
        self.resolve_references(&mut tree, path.parent().unwrap_or(Path::new("")), &mut secrets, &mut report);
        report.source.keep_secret(secrets);
        let document = reading::read::<Document>(&tree, shape, &mut report);
        let config = document.map(|document| check::check(&tree, document, &self.registry, path, &mut report));
        (config, report)
    }

    /// Reads a file that describes a job, which may begin from one of the templates; and what is most likely not meant.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read_job(&self, path: &Path, config: Option<&Config>) -> Result<(DescribedJob, Problems), Problems> {
        let text = text_of(path)?;
        let text = without_mark(&text);
        let mut report = Report::new(Source::new(&path.display().to_string(), text));
        let schema = schema_for!(JobSpec).to_value();
        let none = BTreeMap::new();
        let templates = config.map_or(&none, Config::templates);
        let spec = tree(path, text, &mut report)
            .and_then(|tree| reading::read::<JobSpec>(&tree, Shape::of(&schema), &mut report));
        let Some(spec) = spec else { return Err(report.finish()) };
        check::check_options(&spec.node, &self.registry, &mut report);
        match spec.value.job(templates) {
            Ok(job) => {
                config.iter().for_each(|config| check::note_wish(&spec.node, &job, config, &mut report));
                let problems = report.finish();
                return if problems.has_errors() { Err(problems) } else { Ok((job, problems)) };
            }
            Err(wrong) => check::note(&spec.node, wrong, &mut report),
        }
        Err(report.finish())
    }

    /// References are read in the executors' own settings: nowhere else does a secret of the operator belong.
    fn resolve_references(&self, tree: &mut Node, folder: &Path, secrets: &mut Vec<String>, report: &mut Report) {
        for entry in tree.get_mut("hosts").map(Node::entries_mut).unwrap_or_default() {
            let kind = entry.node.get("executor").map(Node::to_json);
            let kind = kind.as_ref().and_then(Value::as_str);
            let kind = self.registry.kinds().find(|known| Some(known.executor_type.as_str()) == kind);
            let settings = kind.map_or(Value::Bool(true), |kind| (kind.config_schema)().to_value());
            if let Some(node) = entry.node.get_mut("executor_config") {
                self.environment.resolve(node, Shape::of(&settings), folder, secrets, report);
            }
        }
    }
}

/// What a check of a configuration found.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Checked {
    /// How many hosts there are.
    pub hosts: usize,
    /// What became of each routing test; none were run when the configuration can't be used.
    pub tests: Vec<TestOutcome>,
    /// Everything that is wrong, failed tests among it.
    pub problems: Problems,
}

/// The JSON Schema of a file that describes a job.
#[must_use]
pub fn job_schema() -> schemars::Schema {
    schema_for!(JobSpec)
}

/// What a file holds, unless it is far too large.
pub(crate) fn bytes_of(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(std::io::Error::other(format!("it has more than {} MiB", LARGEST >> 20)));
    }
    Ok(bytes)
}

fn text_of(path: &Path) -> Result<String, Problems> {
    let name = path.display().to_string();
    let wrong = |why: String| {
        let mut report = Report::new(Source::new(&name, ""));
        report.error("unreadable", &Origin::Whole, format!("the file can't be read: {why}"), None);
        report.finish()
    };
    let bytes = bytes_of(path).map_err(|error| wrong(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..good].iter().filter(|byte| **byte == b'\n').count() + 1;
        wrong(format!("line {line} is not UTF-8"))
    })
}

/// The text without the mark by which some editors say that it is Unicode.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// The tree of a text. What stands in it in plain text and is a secret is hidden from now on.
fn tree(path: &Path, text: &str, report: &mut Report) -> Option<Node> {
    match Format::of(path).read(text) {
        Ok(tree) => {
            hide_plain_secrets(&tree, report);
            Some(tree)
        }
        Err(unreadable) => {
            report.source.hide_values();
            report.error("unreadable", &Origin::File(unreadable.at), unreadable.message, None);
            None
        }
    }
}

fn hide_plain_secrets(tree: &Node, report: &mut Report) {
    let found = tree.plain_secrets();
    report.source.hide(found.iter().map(|(_, at)| Range::clone(at)).collect());
    // What is wrong with a reference that is none is told by whoever reads it.
    for (key, at) in found.into_iter().filter(|(key, _)| key != "reference") {
        let message = format!("`{key}` is a secret in plain text");
        let help = "bind it by `secrets` in a job, or write ${NAME} or ${file:PATH} in a host's executor_config";
        report.warning("plain-secret", &Origin::File(at), message, help.to_owned());
    }
}
