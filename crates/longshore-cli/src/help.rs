//! The parts of the help that are more than one line.

/// How to call `route`.
pub(crate) const ROUTE_USAGE: &str = "longshore route [OPTIONS] IMAGE [-- COMMAND...]
       longshore route [OPTIONS] --template NAME
       longshore route [OPTIONS] --file FILE";

/// After the help of `route`, and in its manual page.
pub(crate) const ROUTE: &str = "\
Exit codes:
  0    a host was chosen
  1    no host ever takes the job as it is
  2    not now: the job would wait
  125  there is no configuration, or something is wrong with it or
       with the options

Examples:
  longshore route --explain --memory 16g tool
  longshore route --user ann --group premium --json tool
  longshore route --offline --template import";

/// How to call `submit`.
pub(crate) const SUBMIT_USAGE: &str = "longshore submit [OPTIONS] IMAGE [-- COMMAND...]
       longshore submit [OPTIONS] --template NAME [-- COMMAND...]
       longshore submit [OPTIONS] --file FILE [-- COMMAND...]";

/// After the help of `submit`.
pub(crate) const SUBMIT: &str = "\
Examples:
  longshore submit alpine -- echo hello
  longshore submit --idempotency-key order-17 --retries 3 tool:1.2
  longshore jobs wait \"$(longshore submit alpine -- true)\"";

/// After the help of `dispatch`, and in its manual page.
pub(crate) const DISPATCH: &str = "\
Signals:
  SIGTERM, Ctrl-C  hands over: what runs goes on, and the next
                   dispatcher takes it over; or as --drain or
                   --stop-jobs say. A second one ends at once,
                   which loses nothing either
  SIGHUP           reads the configuration again

Exit codes:
  0      it was stopped, or with --once had nothing left to do
  125    it could not begin, or the database refused it
  128+n  a second signal n ended it at once

Examples:
  longshore dispatch
  longshore dispatch --once --database jobs.db
  longshore dispatch --max-jobs 200 --metrics 127.0.0.1:9464";

/// How to call `run`.
pub(crate) const RUN_USAGE: &str = "longshore run [OPTIONS] IMAGE [-- COMMAND...]
       longshore run [OPTIONS] IMAGE COMMAND...
       longshore run [OPTIONS] --template NAME [-- COMMAND...]
       longshore run [OPTIONS] --file FILE [-- COMMAND...]";

/// After the list of commands.
pub(crate) const START: &str = "Begin with: longshore run alpine -- echo hello";

/// After the long help of the program, and in its manual page.
pub(crate) const START_LONG: &str = "\
Begin with: longshore run alpine -- echo hello

Exit codes of all commands:
  0      done; nothing is wrong
  1      done, and something is: a host is ill, the configuration or
         the database has problems, not every job could be changed,
         not everything could be removed, no host takes the job
  2      `route`: not now, the job would wait
  124    a time limit passed
  125    it could not be done: a wrong option, no such job, a database
         that can't be opened; stderr says why, and what to do
  128+n  signal n ended it
  `run` and `jobs wait` end with the job's own code; `longshore run
  --help` tells the others. Whatever could not be done changed
  nothing, unless stderr says otherwise: it is safe to do it again.";

/// After the short help of `run`.
pub(crate) const RUN_SHORT: &str = "The exit code is the job's own; `longshore run --help` tells the others.";

/// After the long help of `run`, and in its manual page, where wider lines would be broken.
pub(crate) const RUN: &str = "\
Exit codes:
  the job's own  the program ended by itself
  124            a time limit passed: --timeout, --start-timeout
  125            Longshore failed, or the launch did: a wrong option,
                 no engine, no image, a refused plan; or what became
                 of the job can't be told; or its output could not
                 be passed on
  126            the command can't be executed
  127            there is no such command in the image
  128+n          signal n ended the job, such as 139 for SIGSEGV
  130, 143, 129  stopped by Ctrl-C, by SIGTERM, by a terminal that
                 closed; under nohup the last does nothing
  137            out of memory, or killed by SIGKILL

Images:
  [REGISTRY/]NAME[:TAG][@DIGEST]  of a registry, or of the host
  docker-archive:PATH[:NAME]      a file that `docker save` wrote
  oci-archive:PATH[:TAG]          an OCI layout in a tar file
  oci:PATH[:TAG]                  an OCI layout: a folder with
                                  index.json
  rootfs:PATH                     a folder that is the container's
                                  root, with --entrypoint
  A relative PATH counts from the current folder; it must have no
  `:` in it. The last four run on the embedded executor; on a host
  of the configuration its operator allows their folders
  (allow.image_folders).

Where it runs:
  Without --executor, --host and a configuration the job runs on the
  Docker Engine that Docker itself would use. Where none answers
  within three seconds, or the image lies in a file or folder, it
  runs on the embedded executor, which needs no engine and holds
  the job in a container as well; stderr tells why.

Output:
  The job's output is passed on as it is, escape sequences included.
  Longshore's own words go to stderr, in lines that begin with
  `longshore:` or `hint:`; --quiet leaves only errors. When stdout
  is closed early, as by `| head`, the job goes on to its end, its
  time limits hold, and the container is kept with its log.

Files of variables:
  Each line of an --env-file is NAME=VALUE, or NAME alone to pass on
  our own. The value is taken as it is, without quotes or escapes.
  Lines that begin with # and empty lines are left out. Options win
  over files, and later ones over earlier ones.

Configuration:
  Where there is a longshore.toml (here, in the user's configuration
  folder or in /etc/longshore; or --config), the job runs where its
  rules send it, and stderr tells why. `longshore config init` writes
  one, `longshore route --explain` tells the whole of a decision. A
  job whose host is full, or has asked to be left alone, waits, for
  as long as --start-timeout allows; Ctrl-C ends that.

Records:
  The job is recorded before it is launched: `longshore jobs` knows
  it, and when this program dies the next `longshore dispatch` goes
  on with it. A database that nobody has named and that can't be
  opened is told of, and the job runs unrecorded. --no-record runs
  it unrecorded in any case.

Environment:
  LONGSHORE_CONFIG
      the configuration, as --config
  LONGSHORE_DATABASE, LONGSHORE_LOGS
      where jobs and their logs are kept, as --database and --logs;
      a URL with a password belongs here, not among the options
  LONGSHORE_SECTION__KEY__KEY
      replaces a value of it: LONGSHORE_HOSTS__HOME__ENABLED=false
  DOCKER_HOST, DOCKER_TLS_VERIFY, DOCKER_CERT_PATH
      where the Docker Engine is, as for Docker's own program
  XDG_STATE_HOME
      where executors keep what they must, below `longshore`;
      by default ~/.local/state
  LONGSHORE_LOG
      what is told beyond notices: a level, or TARGET=LEVEL such as
      longshore_docker=trace; `dispatch` tells warnings by default

Examples:
  longshore run alpine -- echo hello
  longshore run -m 512m --timeout 10m -e MODE=fast tool:1.2 --input a
  longshore run --secret token=env:API_TOKEN --json tool | jq .status
  longshore run --dry-run --memory 8g tool
  longshore run -v /srv/data:/data:ro \\
    --allow 'bind_mounts=[\"/srv/data\"]' tool
  longshore run --executor-option docker.init=true tool
  longshore run docker-archive:./tool.tar -- --input a";
