//! What goes wrong between the executor and Cloud Run, injected on purpose into the fake.
//!
//! | what goes wrong | where it is survived |
//! |---|---|
//! | 429 with and without Retry-After | `rates` |
//! | 500, 502, 503 before and after the effect; a connection reset after it | `launching::a_creation_whose_answer_was_an_error_is_looked_up_and_runs_once`, `network::a_question_is_asked_again_whatever_becomes_of_its_answer` |
//! | a creation that succeeds and then fails | `refusals::each_refusal_names_the_setting_and_leaves_nothing` |
//! | what was just made is missing | `lists::what_is_new_may_be_missing_for_a_moment` |
//! | a name that is used again for something else | `launching::a_name_is_nobody_elses` |
//! | an execution that aged out of the answers | `lists::what_somebody_has_removed_is_not_found` |
//! | an end without a task that tells of it | `lists::an_end_that_no_task_tells_of_is_told_as_unknown` |
//! | credentials that end mid-run and mid-page | `credentials` |
//! | pages that change between calls | `lists::many_statuses_are_one_list_also_when_its_pages_shift` |
//! | duplicate, late, out-of-order entries; equal times across a resume; empty pages with a token | `logs::logs_are_whole_whatever_the_pages_do`, `logs::a_log_is_the_same_from_every_cursor` |
//! | entries that come after the end | `logs::logs_are_whole_whatever_the_pages_do` (late) |
//! | HTML, truncated bodies, unknown fields | `network::a_question_is_asked_again_whatever_becomes_of_its_answer`, `launching`, `logs` |
//! | DNS, TLS, half-open TCP | `network` |
//! | no room, quotas reached, wrong project, region, image, secret, permission | `refusals` |

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../support/harness.rs"]
#[expect(dead_code, reason = "the kit uses all of it, and this test some")]
mod harness;

mod credentials;
mod keeping;
mod launching;
mod lists;
mod logs;
mod network;
mod place;
mod rates;
mod refusals;
