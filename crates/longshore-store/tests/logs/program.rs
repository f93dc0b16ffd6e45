//! An executor that has one finished execution, whose log it makes up page by page.

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use longshore_core::{
    Capabilities, CheckedJob, ContainerExecutor, Error, ErrorKind, ExecutionHandle, ExecutionStatus, ExecutorType,
    Harvest, HostFacts, HostName, JobId, LaunchIdempotency, LaunchRequest, LaunchSearch, LaunchToken, LogCompleteness,
    LogCursor, LogPage, LogQuery, LogRecord, LogStream, Plan, Result, StopRequest, Termination,
};
use std::{
    fmt,
    sync::{Arc, LazyLock},
};

type Record = Arc<dyn Fn(usize) -> LogRecord + Send + Sync>;

/// What the program wrote, and in what pages the executor gives it.
#[derive(Clone)]
pub(crate) struct Program {
    executor_type: ExecutorType,
    host: HostName,
    capabilities: Capabilities,
    record: Record,
    records: usize,
    /// How many records a page has at most.
    pub(crate) page: usize,
    /// What the executor says at the end; nothing, when it does not say that the log has ended.
    pub(crate) ended: Option<LogCompleteness>,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a program with {} records", self.records)
    }
}

impl Program {
    /// A program that wrote as many records as `record` makes.
    pub(crate) fn writing(records: usize, record: impl Fn(usize) -> LogRecord + Send + Sync + 'static) -> Self {
        Self {
            executor_type: ExecutorType::new("made-up").unwrap(),
            host: HostName::new("here").unwrap(),
            capabilities: Capabilities::new(LaunchIdempotency::ByKey, []),
            record: Arc::new(record),
            records,
            page: 1000,
            ended: Some(LogCompleteness::Complete),
        }
    }

    /// A program that wrote these records.
    pub(crate) fn that_wrote(records: Vec<LogRecord>) -> Self {
        Self::writing(records.len(), move |number| records[number].clone())
    }

    /// All records.
    pub(crate) fn records(&self) -> Vec<LogRecord> {
        (0..self.records).map(|number| (self.record)(number)).collect()
    }

    /// All bytes, as they come.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.records().iter().flat_map(|record| record.bytes.to_vec()).collect()
    }

    /// The handle of an attempt whose program this was.
    pub(crate) fn handle(&self, token: LaunchToken) -> ExecutionHandle {
        let nothing = serde_json::Value::Null;
        ExecutionHandle::new(self.executor_type.clone(), self.host.clone(), token, 1, "execution", nothing)
    }

    fn refuse<T>(&self) -> Result<T> {
        Err(Error::unsupported("anything but a log", &self.executor_type))
    }
}

/// A token of a job of its own.
pub(crate) fn token() -> LaunchToken {
    LaunchToken::new(JobId::new(Timestamp::UNIX_EPOCH), 1)
}

/// All bytes, in no order that anything could rely on.
static NOISE: LazyLock<Vec<u8>> =
    LazyLock::new(|| (0..8192_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect());

/// A number and up to 2.5 kB of bytes of all kinds, line breaks among them, on one of the two streams.
pub(crate) fn line(number: usize) -> LogRecord {
    let stream = if number.is_multiple_of(3) { LogStream::Stderr } else { LogStream::Stdout };
    let mut bytes = format!("line {number} ").into_bytes();
    bytes.extend(NOISE.iter().skip(number * 37 % 4096).take(number * 131 % 2500));
    bytes.push(b'\n');
    let time = 1_764_000_000_000_000_000 + number as i128 * 1_000_003;
    let timestamp = Timestamp::from_nanosecond(time).ok().filter(|_| !number.is_multiple_of(5));
    LogRecord::new(stream, timestamp, Bytes::from(bytes))
}

#[async_trait]
impl ContainerExecutor for Program {
    fn executor_type(&self) -> &ExecutorType {
        &self.executor_type
    }

    fn host(&self) -> &HostName {
        &self.host
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn facts(&self) -> Option<Arc<HostFacts>> {
        None
    }

    async fn get_logs(&self, _: &ExecutionHandle, query: &LogQuery) -> Result<LogPage> {
        tokio::task::yield_now().await;
        let from = query.cursor.as_ref().map_or(Ok(0), |cursor| cursor.as_str().parse());
        let from: usize = from.map_err(|_| Error::new(ErrorKind::Invalid, "not a cursor"))?;
        let (mut records, mut length) = (Vec::new(), 0);
        for number in (from..self.records).take(self.page) {
            let record = (self.record)(number);
            length += record.bytes.len();
            if length > query.max_bytes && !records.is_empty() {
                break;
            }
            records.push(record);
        }
        let next = from + records.len();
        let ended = self.ended.clone().filter(|_| next == self.records);
        let cursor = LogCursor::new(next.to_string());
        Ok(match ended {
            Some(ended) => LogPage::last(records, cursor, ended),
            None => LogPage::open(records, cursor),
        })
    }

    async fn discover(&self) -> Result<Arc<HostFacts>> {
        self.refuse()
    }

    fn plan(&self, _: &CheckedJob<'_>) -> Result<Plan> {
        self.refuse()
    }

    async fn launch_job(&self, _: &LaunchRequest) -> Result<ExecutionHandle> {
        self.refuse()
    }

    async fn find_launch(&self, _: &LaunchRequest) -> Result<LaunchSearch> {
        self.refuse()
    }

    async fn check_status(&self, _: &ExecutionHandle) -> Result<ExecutionStatus> {
        self.refuse()
    }

    async fn stop_job(&self, _: &ExecutionHandle, _: &StopRequest) -> Result<Termination> {
        self.refuse()
    }

    async fn harvest_job(&self, _: &ExecutionHandle) -> Result<Harvest> {
        self.refuse()
    }

    async fn cleanup(&self, _: &ExecutionHandle) -> Result<()> {
        self.refuse()
    }
}
