//! What can be typed.
//!
//! The options of `run` are taken as text and read in [`crate::job`], all of them before the first complaint: so
//! every mistake is told at once, in one form, as JSON too, and no error quotes a variable's value.

use clap::{Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;
use std::path::PathBuf;

use crate::{help, values::Suggested};

/// Runs a container job to completion, wherever it is to run.
#[derive(Parser)]
#[command(name = "longshore", version, arg_required_else_help = true, max_term_width = 110)]
#[command(after_help = help::START, subcommand_value_name = "COMMAND", disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Writes to stderr what Longshore does; `LONGSHORE_LOG` chooses what is told
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) verbose: bool,

    #[arg(long, global = true, env = "LONGSHORE_LOG", hide = true, value_name = "FILTER")]
    pub(crate) log_filter: Option<String>,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    Run(Box<RunArgs>),

    /// Lists the kinds of executor that this program has
    Executors,

    /// Prints the JSON Schema of a type; without a name, lists the names
    Schema {
        /// The type's name
        name: Option<String>,
    },

    /// Prints the script that completes commands and options in a shell
    Completions {
        /// The shell
        shell: Shell,
    },

    /// Prints the manual pages, or writes them into a folder
    Man {
        /// The folder, which must exist
        #[arg(value_hint = ValueHint::DirPath)]
        folder: Option<PathBuf>,
    },
}

/// Runs one container job to its end
///
/// The image is fetched where it is missing, the container started, its output passed on as it comes (stdout to
/// stdout, stderr to stderr, byte for byte), its exit code returned, and the container removed.
///
/// Ctrl-C, SIGTERM or a terminal that closes stops the job: its stop signal, the grace period, the kill. A second
/// one kills at once. A third one leaves the job as it is and says how to find it.
#[derive(Args)]
#[command(after_long_help = help::RUN, after_help = help::RUN_SHORT, override_usage = help::RUN_USAGE)]
#[command(args_override_self = true)]
pub(crate) struct RunArgs {
    /// The image, and the command with its arguments to run in place of the image's own
    ///
    /// Each argument reaches the program as it is; nothing passes through a shell.
    #[arg(required = true, trailing_var_arg = true, value_names = ["IMAGE", "COMMAND"])]
    pub(crate) image_and_command: Vec<String>,

    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    #[command(flatten)]
    pub(crate) container: ContainerArgs,
    #[command(flatten)]
    pub(crate) resources: ResourceArgs,
    #[command(flatten)]
    pub(crate) times: TimeArgs,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

#[derive(Args)]
#[command(next_help_heading = "Where it runs")]
pub(crate) struct PlaceArgs {
    /// The kind of executor; `longshore executors` lists them
    #[arg(long, value_name = "KIND", default_value = "docker", allow_hyphen_values = true)]
    pub(crate) executor: String,

    /// The engine's address, such as `unix:///run/docker.sock`; for docker the default is `DOCKER_HOST`
    #[arg(long, value_name = "URI", allow_hyphen_values = true)]
    pub(crate) host: Option<String>,

    /// A setting of the executor, as KEY=VALUE or as a JSON object (repeatable); `longshore schema KIND-config`
    /// describes them
    #[arg(long, value_name = "SETTING", allow_hyphen_values = true)]
    pub(crate) executor_config: Vec<String>,

    /// What jobs may reach on the host beyond their own container, as KEY=VALUE, such as
    /// `host_network=true` or `bind_mounts=["/srv/data"]` (repeatable); `longshore schema allow` describes it
    #[arg(long, value_name = "SETTING", allow_hyphen_values = true)]
    pub(crate) allow: Vec<String>,

    /// An option of the job that only this kind of executor knows, as KIND.KEY=VALUE or KIND={JSON object}, such as
    /// docker.init=true (repeatable); `longshore schema KIND-options` describes them
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    pub(crate) executor_option: Vec<String>,

    /// The installation that owns what is created
    #[arg(long, value_name = "NAME", default_value = "local", allow_hyphen_values = true)]
    pub(crate) owner: String,
}

#[derive(Args)]
#[command(next_help_heading = "The container")]
pub(crate) struct ContainerArgs {
    /// The job's name; by default the image's
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) name: Option<String>,

    /// An environment variable; NAME alone passes on our own (repeatable)
    #[arg(short, long, value_name = "NAME[=VALUE]", allow_hyphen_values = true)]
    pub(crate) env: Vec<String>,

    /// A file of environment variables, one a line (repeatable)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) env_file: Vec<PathBuf>,

    /// A secret, as the file /run/secrets/NAME, or with `,env` as the variable NAME (repeatable); REF is
    /// `env:NAME`, `file:PATH` or `provider:REFERENCE`
    #[arg(long, value_name = "NAME=REF[,env]", allow_hyphen_values = true)]
    pub(crate) secret: Vec<String>,

    /// The program to run in place of the image's entrypoint; repeated, its first arguments
    #[arg(long, value_name = "PROGRAM", allow_hyphen_values = true)]
    pub(crate) entrypoint: Vec<String>,

    /// The working directory; by default the image's
    #[arg(short, long, value_name = "PATH", allow_hyphen_values = true)]
    pub(crate) workdir: Option<String>,

    /// The user, by name or number; by default the image's
    #[arg(short, long, value_name = "USER[:GROUP]", allow_hyphen_values = true)]
    pub(crate) user: Option<String>,

    /// A label (repeatable)
    #[arg(short, long, value_name = "KEY[=VALUE]", allow_hyphen_values = true)]
    pub(crate) label: Vec<String>,

    /// The network: none, private, host, or the name of one on the host; for docker the default is private
    #[arg(long, value_name = "NETWORK", allow_hyphen_values = true)]
    pub(crate) network: Option<String>,

    /// A further name on that network (repeatable)
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) network_alias: Vec<String>,

    /// A path or volume of the host at a path of the container (repeatable); an absolute SOURCE is a path, any other
    /// a volume's name
    #[arg(short, long, value_name = "SOURCE:TARGET[:ro]", allow_hyphen_values = true)]
    pub(crate) volume: Vec<String>,

    /// Scratch space in memory (repeatable)
    #[arg(long, value_name = "TARGET[:size=SIZE]", allow_hyphen_values = true)]
    pub(crate) tmpfs: Vec<String>,

    /// When the image is fetched
    #[arg(long, value_name = "WHEN", default_value = "missing", allow_hyphen_values = true)]
    #[arg(value_parser = Suggested(&["always", "missing", "never"]))]
    pub(crate) pull: String,

    /// The platform of the image, such as linux/arm64
    #[arg(long, value_name = "OS/ARCHITECTURE", allow_hyphen_values = true)]
    pub(crate) platform: Option<String>,

    /// How tightly the container is held
    #[arg(long, value_name = "PROFILE", default_value = "default", allow_hyphen_values = true)]
    #[arg(value_parser = Suggested(&["default", "hardened", "platform"]))]
    pub(crate) security: String,

    /// The signal that asks the job to end; by default the image's, usually SIGTERM
    #[arg(long, value_name = "SIGNAL", allow_hyphen_values = true)]
    pub(crate) stop_signal: Option<String>,
}

#[derive(Args)]
#[command(next_help_heading = "Resources")]
pub(crate) struct ResourceArgs {
    /// The memory limit, such as 512m or 2GiB
    #[arg(short, long, value_name = "SIZE", allow_hyphen_values = true)]
    pub(crate) memory: Option<String>,

    /// The CPU limit in cores, such as 0.5
    #[arg(long, value_name = "CORES", allow_hyphen_values = true)]
    pub(crate) cpus: Option<String>,

    /// The number of graphics processors
    #[arg(long, value_name = "COUNT", allow_hyphen_values = true)]
    pub(crate) gpus: Option<String>,

    /// The most processes and threads at one time
    #[arg(long, value_name = "COUNT", allow_hyphen_values = true)]
    pub(crate) pids_limit: Option<String>,

    /// The most bytes of output that are kept, stdout and stderr together, such as 64m; by default what
    /// the host allows
    #[arg(long, value_name = "SIZE", allow_hyphen_values = true)]
    pub(crate) log_cap: Option<String>,
}

#[derive(Args)]
#[command(next_help_heading = "Times (30s, 5m, 1h 30m, or a number of seconds)")]
pub(crate) struct TimeArgs {
    /// How long the job may run, which has no limit by default; then it is stopped
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) timeout: Option<String>,

    /// How long it may take until it runs, the fetching of the image included
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) start_timeout: Option<String>,

    /// How long a stopped job may take to end before it is killed; by default 10s
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) grace: Option<String>,
}

#[derive(Args)]
#[command(next_help_heading = "What is told")]
pub(crate) struct ReportArgs {
    /// Prints the result as JSON to stdout at the end; all output of the job goes to stderr
    #[arg(long)]
    pub(crate) json: bool,

    /// Prints what would be granted, and launches nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Leaves the finished container where it is
    #[arg(long)]
    pub(crate) keep: bool,

    /// Tells errors only
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

impl RunArgs {
    /// The image; clap lets nothing through without one.
    pub(crate) fn image(&self) -> &str {
        self.image_and_command.first().map_or("", String::as_str)
    }

    /// The command in place of the image's own, where one is given. A `--` right after the image is punctuation.
    pub(crate) fn command(&self) -> Option<&[String]> {
        let rest = self.image_and_command.get(1..).unwrap_or_default();
        let command = if rest.first().is_some_and(|first| first == "--") { &rest[1..] } else { rest };
        (!command.is_empty()).then_some(command)
    }
}
