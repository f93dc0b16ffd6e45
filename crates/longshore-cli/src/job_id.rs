//! Jobs as people name them: by their id, its first characters, or a launch token as the provider shows it.

use longshore::store::{JobQuery, JobStore};
use longshore::{Error, ErrorKind, JobId, LaunchToken, Result};

/// How many characters of an id are enough.
const SHORTEST: usize = 6;

/// What somebody has typed for a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    /// The whole id.
    Job(JobId),
    /// The ids that begin with it, from the first to the last.
    Beginning(JobId, JobId),
}

/// The job that is meant.
///
/// # Errors
/// `Invalid` for what is no beginning of an id, or of several; `NotFound` when there is no such job.
pub(crate) async fn find(store: &dyn JobStore, text: &str) -> Result<JobId> {
    let (first, last) = match read(text)? {
        Named::Job(id) => return store.job(id).await.map(|job| job.id()),
        Named::Beginning(first, last) => (first, last),
    };
    // Pages are of jobs that are older than one; nothing is older than the first of all ids.
    let newest = JobQuery::builder().maybe_after(next(last)).limit(2).build();
    let mut found = store.jobs(&newest).await?;
    found.retain(|job| job.id() >= first);
    match found.as_slice() {
        [] => Err(Error::new(
            ErrorKind::NotFound,
            format!("no job's id begins with {text}; `longshore jobs list` lists them"),
        )),
        [one] => Ok(one.id()),
        [one, other, ..] => {
            let message = format!(
                "{text} begins the ids of several jobs, {} and {} among them; write more of it",
                one.id(),
                other.id()
            );
            Err(Error::new(ErrorKind::Invalid, message))
        }
    }
}

/// All of the jobs that are meant, in their order.
///
/// # Errors
/// As [`find`].
pub(crate) async fn find_all(store: &dyn JobStore, texts: &[String]) -> Result<Vec<JobId>> {
    let mut found = Vec::with_capacity(texts.len());
    for text in texts {
        let id = find(store, text).await?;
        if !found.contains(&id) {
            found.push(id);
        }
    }
    Ok(found)
}

fn read(text: &str) -> Result<Named> {
    if let Ok(token) = text.parse::<LaunchToken>() {
        return Ok(Named::Job(token.job()));
    }
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let is_hex = digits.chars().all(|c| c.is_ascii_hexdigit());
    if !is_hex || !(SHORTEST..=32).contains(&digits.len()) {
        let message = format!(
            "{text:?} is no job: write its id, such as 019237a4-5c1e-7f00-8000-000000000001, or at least the first \
             {SHORTEST} characters of it"
        );
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    let filled = |with: &str| format!("{digits}{}", with.repeat(32 - digits.len())).parse::<JobId>();
    let (first, last) = (filled("0")?, filled("f")?);
    Ok(if first == last { Named::Job(first) } else { Named::Beginning(first, last) })
}

/// The id right behind another one, if there is one.
fn next(id: JobId) -> Option<JobId> {
    let number = u128::from_str_radix(&id.to_string().replace('-', ""), 16).ok()?.checked_add(1)?;
    format!("{number:032x}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore::store::{MemoryStore, Submission};
    use longshore::{ContainerJob, JobTemplate};

    async fn store(ids: &[&str]) -> MemoryStore {
        let store = MemoryStore::new();
        let template = JobTemplate::builder().name("a".parse().unwrap()).image("a".parse().unwrap()).build();
        for id in ids {
            let now = jiff::Timestamp::UNIX_EPOCH;
            let job =
                ContainerJob::builder().id(id.parse().unwrap()).template(template.clone()).created_at(now).build();
            store.submit(vec![Submission::builder(job).build()], now).await.unwrap();
        }
        store
    }

    const ONE: &str = "019237a4-5c1e-7f00-8000-000000000001";
    const TWO: &str = "019237a4-5c1e-7f00-8000-000000000002";
    const LAST: &str = "ffffffff-ffff-ffff-ffff-ffffffffffff";

    #[tokio::test]
    async fn a_job_is_found_by_its_id_or_the_beginning_of_it() {
        let store = store(&[ONE, TWO, LAST]).await;
        for (text, expected) in [
            (ONE, ONE),
            ("019237A4-5C1E-7F00-8000-000000000002", TWO),
            ("019237a45c1e7f008000000000000002", TWO),
            ("ls-019237a45c1e7f008000000000000001-3", ONE),
            ("019237a4-5c1e-7f00-8000-00000000000", "several"),
            ("019237", "several"),
            ("ffffff", LAST),
            ("ffffff-f", LAST),
            ("019238", "no job's id begins"),
            ("00000000", "no job's id begins"),
            ("0192", "at least the first 6"),
            ("", "at least the first 6"),
            ("019237a4-5c1e-7f00-8000-000000000003", "there is no job"),
            ("019237a4-5c1e-7f00-8000-0000000000011", "is no job"),
            ("../../etc", "is no job"),
        ] {
            let found = match find(&store, text).await {
                Ok(id) => id.to_string(),
                Err(error) => error.to_string(),
            };
            assert!(found.contains(expected), "{text}: {found}");
        }
    }

    #[tokio::test]
    async fn a_job_that_is_named_twice_is_one() {
        let store = store(&[ONE, TWO]).await;
        let texts = [TWO, ONE, TWO].map(str::to_owned);
        assert_eq!(find_all(&store, &texts).await.unwrap(), [TWO.parse().unwrap(), ONE.parse().unwrap()]);
    }
}
