//! Filters, pages and counts.

use longshore_core::{JobId, JobStatus, LabelValue, Principal};
use longshore_store::{Intervention, JobQuery, Submission};

use crate::{
    ground::Ground,
    support::{Dispatcher, at, exited, host, in_status, job, request, submission, submit},
};

async fn found(ground: &Ground, query: JobQuery) -> Vec<JobId> {
    ground.store.jobs(&query).await.unwrap().iter().map(longshore_store::JobRecord::id).collect()
}

/// A job of its own second, so that ids sort as they were made.
fn made_at(name: &str, seconds: i64) -> Submission {
    Submission::builder(job(name, at(seconds))).build()
}

pub(crate) async fn pages_go_from_the_newest_to_the_oldest(ground: Ground) {
    let mut jobs = Vec::new();
    for second in 0..7 {
        jobs.push(submit(&ground.store, made_at("on-a", second), second).await);
    }
    jobs.reverse();
    let mut pages: Vec<JobId> = Vec::new();
    for expected in [3, 3, 1, 0] {
        let query = JobQuery::builder().limit(3).maybe_after(pages.last().copied()).build();
        let page = found(&ground, query).await;
        assert_eq!(page.len(), expected);
        pages.extend(page);
    }
    assert_eq!(pages, jobs);
    assert_eq!(found(&ground, JobQuery::builder().build()).await, jobs);
    assert_eq!(found(&ground, JobQuery::builder().limit(0).build()).await, []);
}

pub(crate) async fn jobs_are_found_by_status(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    let running = in_status(&dispatcher, JobStatus::Running).await;
    let failed = in_status(&dispatcher, JobStatus::Failed).await;
    let pending = submit(&ground.store, made_at("on-a", 9), 9).await;
    assert_eq!(found(&ground, JobQuery::builder().statuses([JobStatus::Failed]).build()).await, [failed]);
    let two = JobQuery::builder().statuses([JobStatus::Pending, JobStatus::Running]).build();
    assert_eq!(found(&ground, two).await, [pending, running]);
    assert_eq!(found(&ground, JobQuery::builder().statuses([JobStatus::Lost]).build()).await, []);
}

pub(crate) async fn jobs_are_found_by_host_and_kind(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    let placed = in_status(&dispatcher, JobStatus::Running).await;
    submit(&ground.store, submission("on-a"), 5).await;
    let on = |name: &str| JobQuery::builder().host(host(name)).build();
    assert_eq!(found(&ground, on("a")).await, [placed]);
    assert_eq!(found(&ground, on("b")).await, []);
    let of = |kind: &str| JobQuery::builder().executor(kind.parse().unwrap()).build();
    assert_eq!(found(&ground, of("mock")).await, [placed]);
    assert_eq!(found(&ground, of("docker")).await, []);
}

pub(crate) async fn jobs_are_found_by_template_and_user(ground: Ground) {
    let mut owned = made_at("on-a", 1);
    owned.job.created_by = Some(Principal::builder().name("o'neil; drop table jobs --").build());
    let owned = submit(&ground.store, owned, 1).await;
    let other = submit(&ground.store, made_at("on-b", 2), 2).await;
    let of = |user: &str| JobQuery::builder().user(user).build();
    assert_eq!(found(&ground, of("o'neil; drop table jobs --")).await, [owned]);
    assert_eq!(found(&ground, of("unknown")).await, []);
    assert_eq!(found(&ground, JobQuery::builder().template("on-b").build()).await, [other]);
    assert_eq!(found(&ground, JobQuery::builder().template("on-%").build()).await, []);
}

pub(crate) async fn jobs_are_found_by_labels(ground: Ground) {
    let labelled = |labels: &[(&str, &str)], overridden: Option<(&str, &str)>, seconds| {
        let parsed = |(key, value): &(&str, &str)| (key.parse().unwrap(), LabelValue::new(*value).unwrap());
        let mut made = made_at("on-a", seconds);
        made.job.template.labels = labels.iter().map(parsed).collect();
        made.job.overrides =
            overridden.map(|label| longshore_core::JobOverrides::builder().labels([parsed(&label)].into()).build());
        made
    };
    let both = submit(&ground.store, labelled(&[("team", "red"), ("stage", "live")], None, 1), 1).await;
    let red = submit(&ground.store, labelled(&[("team", "red")], None, 2), 2).await;
    let changed = submit(&ground.store, labelled(&[("team", "red")], Some(("team", "blue")), 3), 3).await;
    let with = |labels: &[(&str, &str)]| {
        let parsed = |(key, value): &(&str, &str)| (key.parse().unwrap(), LabelValue::new(*value).unwrap());
        JobQuery::builder().labels(labels.iter().map(parsed).collect()).build()
    };
    assert_eq!(found(&ground, with(&[("team", "red")])).await, [red, both]);
    assert_eq!(found(&ground, with(&[("team", "red"), ("stage", "live")])).await, [both]);
    assert_eq!(found(&ground, with(&[("team", "blue")])).await, [changed]);
    assert_eq!(found(&ground, with(&[("stage", "red")])).await, []);
}

pub(crate) async fn jobs_are_found_by_time(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    let early = submit(&ground.store, made_at("on-a", 1), 1).await;
    let token = dispatcher.claim_one(2).await;
    dispatcher.record(exited(token, 0, 5)).await.unwrap();
    let late = submit(&ground.store, made_at("on-a", 10), 10).await;
    let since = |seconds| JobQuery::builder().since(at(seconds)).build();
    assert_eq!(found(&ground, since(1)).await, [late, early]);
    assert_eq!(found(&ground, since(2)).await, [late]);
    let finished_before = |seconds| JobQuery::builder().finished_before(at(seconds)).build();
    assert_eq!(found(&ground, finished_before(5)).await, []);
    assert_eq!(found(&ground, finished_before(6)).await, [early]);
}

pub(crate) async fn filters_and_pages_go_together(ground: Ground) {
    let mut expected = Vec::new();
    for second in 0..20 {
        let name = if second % 3 == 0 { "on-a" } else { "on-b" };
        let id = submit(&ground.store, made_at(name, second), second).await;
        if second % 3 == 0 {
            expected.insert(0, id);
        }
    }
    let first = found(&ground, JobQuery::builder().template("on-a").limit(4).build()).await;
    let rest = JobQuery::builder().template("on-a").after(first[3]).limit(4).build();
    assert_eq!([first, found(&ground, rest).await].concat(), expected);
}

pub(crate) async fn each_status_is_counted(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    assert_eq!(ground.store.counts().await.unwrap(), [].into());
    for status in [JobStatus::Completed, JobStatus::Completed, JobStatus::Running, JobStatus::Pending] {
        in_status(&dispatcher, status).await;
    }
    let cancelled = submit(&ground.store, submission("on-b"), 1).await;
    ground.store.intervene(cancelled, Intervention::Cancel, request(2)).await.unwrap();
    let expected =
        [(JobStatus::Completed, 2), (JobStatus::Running, 1), (JobStatus::Pending, 1), (JobStatus::Cancelled, 1)];
    assert_eq!(ground.another().await.counts().await.unwrap(), expected.into());
}
