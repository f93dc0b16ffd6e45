//! What can be typed.
//!
//! The options of `run` are taken as text and read in [`crate::job`], all of them before the first complaint: so
//! every mistake is told at once, in one form, as JSON too, and no error quotes a variable's value.

use clap::{Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;
use std::path::PathBuf;

use crate::{help, values::Suggested};

mod jobs;
mod operate;
mod store;
mod templates;

pub(crate) use jobs::{
    ChangeArgs, JobsCommand, ListArgs, LogsArgs, RetryArgs, RetryJobArgs, ShowArgs, SubmitArgs, WaitArgs,
};
pub(crate) use operate::{CleanupArgs, DispatchArgs, PauseArgs};
pub(crate) use store::{DbCommand, StoreArgs};
pub(crate) use templates::TemplatesCommand;

/// Runs a container job to completion, wherever it is to run.
#[derive(Parser)]
#[command(name = "longshore", version, arg_required_else_help = true, max_term_width = 110)]
#[command(after_help = help::START, after_long_help = help::START_LONG, subcommand_value_name = "COMMAND", disable_help_subcommand = true)]
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

    Submit(Box<SubmitArgs>),

    /// Looks at jobs and changes what becomes of them
    Jobs {
        #[command(subcommand)]
        command: Box<JobsCommand>,
    },

    Dispatch(Box<DispatchArgs>),

    Cleanup(Box<CleanupArgs>),

    /// Looks after the database of jobs
    Db {
        #[command(subcommand)]
        command: DbCommand,
    },

    /// Looks after the templates that are kept in the database
    Templates {
        #[command(subcommand)]
        command: TemplatesCommand,
    },

    Route(Box<RouteArgs>),

    /// Looks at the configured hosts, and pauses them
    Hosts {
        #[command(subcommand)]
        command: HostsCommand,
    },

    /// Looks at the configuration
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },

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
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    #[command(flatten)]
    pub(crate) job: JobArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// Does not record the job: `longshore jobs` won't know of it, and nobody goes on with it when this program dies
    #[arg(long, conflicts_with_all = ["database", "logs"])]
    pub(crate) no_record: bool,

    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

/// What describes a job, wherever it is typed.
#[derive(Args)]
pub(crate) struct JobArgs {
    /// The image, and the command with its arguments to run in place of the image's own
    ///
    /// An image is of a registry, `[REGISTRY/]NAME[:TAG][@DIGEST]`, or lies in a file or folder:
    /// `docker-archive:PATH[:NAME]`, `oci-archive:PATH[:TAG]`, `oci:PATH[:TAG]` or `rootfs:PATH`.
    ///
    /// Each argument reaches the program as it is; nothing passes through a shell. With --template or --file the image
    /// is theirs, and all words are the command.
    #[arg(required_unless_present_any = ["file", "template"], trailing_var_arg = true, value_names = ["IMAGE", "COMMAND"])]
    pub(crate) image_and_command: Vec<String>,

    /// A template to begin from, of the configuration or else of the database (`longshore templates`); options win over it
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) template: Option<String>,

    /// A file that describes the job, in TOML, YAML or JSON; options win over it (`longshore schema job-file`)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "template")]
    pub(crate) file: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) requester: RequesterArgs,
    #[command(flatten)]
    pub(crate) container: ContainerArgs,
    #[command(flatten)]
    pub(crate) resources: ResourceArgs,
    #[command(flatten)]
    pub(crate) times: TimeArgs,
}

#[derive(Args)]
#[command(next_help_heading = "Where it runs")]
pub(crate) struct PlaceArgs {
    /// The kind of executor, or a configured host
    ///
    /// `longshore executors` lists the kinds, `longshore hosts list` the hosts.
    ///
    /// With a configuration: one of its hosts, or whichever of its hosts of that kind the router chooses. Without
    /// one: docker where an engine answers, else embedded, which also runs the images that lie in files and folders.
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) executor: Option<String>,

    #[command(flatten)]
    pub(crate) configuration: ConfigurationArgs,

    /// Leaves aside whatever configuration there is
    #[arg(long, conflicts_with_all = ["config", "template"])]
    pub(crate) no_config: bool,

    /// The engine's address, such as `unix:///run/docker.sock`; for docker the default is `DOCKER_HOST`
    ///
    /// Like --executor-config and --allow it describes a host of its own, and the configuration is left aside.
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

    /// The installation that owns what is created; by default that of the database in which the job is recorded, and
    /// `local` where it is not
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) owner: Option<String>,
}

#[derive(Args, Clone)]
pub(crate) struct ConfigurationArgs {
    /// The configuration; by default what `LONGSHORE_CONFIG` names, else `longshore.toml` (or .yaml, .json) here, in the
    /// user's configuration folder or in /etc/longshore, where there is one
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Args)]
#[command(next_help_heading = "Who asks, for the routing rules")]
pub(crate) struct RequesterArgs {
    /// Who asks for the job
    #[arg(long = "as", value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) requester: Option<String>,

    /// A group of theirs (repeatable)
    #[arg(long, value_name = "GROUP", allow_hyphen_values = true)]
    pub(crate) group: Vec<String>,

    /// The configured host, or the kind, that is preferred where it will do; --executor leaves no choice
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) prefer: Option<String>,

    /// A region in which the job may run (repeatable)
    #[arg(long, value_name = "REGION", allow_hyphen_values = true)]
    pub(crate) region: Vec<String>,

    /// Under whose law its data must stay, such as eu
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) residency: Option<String>,

    /// How long the job usually runs, from which its cost is estimated
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) expect: Option<String>,
}

/// Tells where a job would run, and why
///
/// Nothing is launched. The hosts are asked what they are, unless --offline takes them for well.
#[derive(Args)]
#[command(after_help = help::ROUTE, override_usage = help::ROUTE_USAGE, args_override_self = true)]
#[command(mut_arg("requester", |arg| arg.long("user").visible_alias("as")))]
#[command(mut_arg("user", |arg| arg.long("container-user").short(None)))]
pub(crate) struct RouteArgs {
    /// Tells every host that was considered, and why not
    #[arg(long)]
    pub(crate) explain: bool,

    /// Asks no host: each is taken for well, empty and able to do what its kind can
    #[arg(long)]
    pub(crate) offline: bool,

    /// Prints the decision as JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// One of the configured hosts, or a kind of them, as for `run`
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) executor: Option<String>,

    /// Whose jobs count against the limits of hosts, as for `run`
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) owner: Option<String>,

    #[command(flatten)]
    pub(crate) configuration: ConfigurationArgs,
    #[command(flatten)]
    pub(crate) job: JobArgs,
}

#[derive(Subcommand)]
pub(crate) enum HostsCommand {
    /// Lists the configured hosts
    List {
        #[command(flatten)]
        configuration: ConfigurationArgs,

        /// Prints them as JSON
        #[arg(long)]
        json: bool,
    },

    /// Asks each host whether jobs could run there: reachability, credentials, permissions, versions
    Check {
        /// The hosts; by default all that are enabled
        names: Vec<String>,

        #[command(flatten)]
        configuration: ConfigurationArgs,

        /// How long each may take to answer
        #[arg(long, value_name = "TIME", default_value = "10s")]
        limit: String,

        /// Prints the findings as JSON
        #[arg(long)]
        json: bool,
    },

    /// Pauses hosts: nothing new is launched there, and what runs goes on
    Pause(PauseArgs),

    /// Ends the pause of hosts, or that of everything
    Resume(PauseArgs),

    /// Lists the pauses in force
    Paused {
        #[command(flatten)]
        store: StoreArgs,

        /// Prints them as JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Subcommand)]
pub(crate) enum ConfigCommand {
    /// Checks the configuration, and runs its routing tests
    Check {
        #[command(flatten)]
        configuration: ConfigurationArgs,

        /// Prints what was found as JSON
        #[arg(long)]
        json: bool,
    },

    /// Prints the configuration as it is in force, without its secrets
    Show {
        #[command(flatten)]
        configuration: ConfigurationArgs,
    },

    /// Prints the JSON Schema of the configuration, for editors
    Schema,

    /// Writes a configuration to begin with
    Init {
        /// The file, which must not exist
        #[arg(default_value = "longshore.toml", value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
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

    /// When the image is fetched; by default when it is missing
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    #[arg(value_parser = Suggested(&["always", "missing", "never"]))]
    pub(crate) pull: Option<String>,

    /// The platform of the image, such as linux/arm64
    #[arg(long, value_name = "OS/ARCHITECTURE", allow_hyphen_values = true)]
    pub(crate) platform: Option<String>,

    /// How tightly the container is held; by default as the profile `default` has it
    #[arg(long, value_name = "PROFILE", allow_hyphen_values = true)]
    #[arg(value_parser = Suggested(&["default", "hardened", "platform"]))]
    pub(crate) security: Option<String>,

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

impl JobArgs {
    /// Whether a template or a file says what the image is.
    pub(crate) const fn is_described(&self) -> bool {
        self.template.is_some() || self.file.is_some()
    }

    /// The image, where no template or file has it; clap lets nothing through without one.
    pub(crate) fn image(&self) -> &str {
        self.image_and_command.first().map_or("", String::as_str)
    }

    /// The command in place of the image's own, where one is given. A `--` right after the image is punctuation.
    pub(crate) fn command(&self) -> Option<&[String]> {
        let words = self.image_and_command.get(usize::from(!self.is_described())..).unwrap_or_default();
        let command = if words.first().is_some_and(|first| first == "--") { &words[1..] } else { words };
        (!command.is_empty()).then_some(command)
    }
}

impl PlaceArgs {
    /// Whether the options describe a host of their own.
    pub(crate) const fn describes_a_host(&self) -> bool {
        self.host.is_some() || !self.executor_config.is_empty() || !self.allow.is_empty()
    }
}
