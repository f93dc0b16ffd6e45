//! Questions that are asked at the same time become one: who asks first asks for all who wait.

use futures::FutureExt;
use longshore_core::{Error, ErrorKind, Result};
use std::{
    fmt,
    future::Future,
    mem,
    sync::{Mutex as StdMutex, PoisonError},
};
use tokio::sync::{Mutex, oneshot};

/// Gathers questions into rounds. A round begins after every question in it was asked, so that its answers are as fresh
/// as answers to each would be.
pub(crate) struct Gather<Q, A> {
    waiting: StdMutex<Vec<Waiting<Q, A>>>,
    round: Mutex<()>,
}

struct Waiting<Q, A> {
    question: Q,
    answer: oneshot::Sender<Result<A>>,
}

impl<Q, A> fmt::Debug for Gather<Q, A> {
    /// Without what is on its way: it may hold what a job wrote.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gather").finish_non_exhaustive()
    }
}

impl<Q, A> Default for Gather<Q, A> {
    fn default() -> Self {
        Self { waiting: StdMutex::default(), round: Mutex::default() }
    }
}

impl<Q: Clone, A> Gather<Q, A> {
    /// Asks, in a round with whoever waits too. `ask_all` answers each question of a round, in order.
    ///
    /// Cancel-safe: when the one who asks for all is dropped, the others ask anew.
    pub(crate) async fn ask<F>(&self, question: Q, ask_all: impl Fn(Vec<Q>) -> F) -> Result<A>
    where
        F: Future<Output = Vec<Result<A>>>,
    {
        loop {
            let (answer, mut answered) = oneshot::channel();
            self.lock().push(Waiting { question: question.clone(), answer });
            let turn = tokio::select! {
                biased;
                answer = &mut answered => match answer {
                    Ok(answer) => return answer,
                    Err(_) => continue,
                },
                turn = self.round.lock() => turn,
            };
            if let Some(Ok(answer)) = (&mut answered).now_or_never() {
                return answer;
            }
            let gathered = mem::take(&mut *self.lock());
            let gathered = gathered.into_iter().filter(|waiting| !waiting.answer.is_closed());
            let (questions, askers): (Vec<Q>, Vec<_>) = gathered.map(|it| (it.question, it.answer)).unzip();
            let answers = ask_all(questions).await;
            for (asker, answer) in askers.into_iter().zip(answers) {
                // Who has gone meanwhile needs no answer.
                let _ = asker.send(answer);
            }
            drop(turn);
            return answered.await.unwrap_or_else(|_| Err(forgotten()));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Waiting<Q, A>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn forgotten() -> Error {
    Error::new(ErrorKind::Unexpected, "a round of questions had fewer answers than questions")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::atomic::AtomicUsize, sync::atomic::Ordering, time::Duration};

    #[derive(Default)]
    struct Asked {
        rounds: AtomicUsize,
        most: AtomicUsize,
    }

    impl Asked {
        async fn all(&self, questions: Vec<u32>) -> Vec<Result<u32>> {
            self.rounds.fetch_add(1, Ordering::Relaxed);
            self.most.fetch_max(questions.len(), Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(100)).await;
            questions.into_iter().map(|question| Ok(question * 2)).collect()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_hundred_who_ask_at_once_are_two_rounds_and_each_gets_its_own_answer() {
        let (gather, asked) = (Gather::default(), Asked::default());
        let all = (0..100).map(|question| gather.ask(question, |questions| asked.all(questions)));
        let answers = futures::future::try_join_all(all).await.unwrap();
        assert_eq!(answers, (0..100).map(|question| question * 2).collect::<Vec<_>>());
        assert!(asked.rounds.load(Ordering::Relaxed) <= 2);
        assert!(asked.most.load(Ordering::Relaxed) >= 99);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_is_answered_also_when_the_one_who_asks_for_all_is_dropped() {
        let (gather, asked) = (Gather::default(), Asked::default());
        let first = gather.ask(1, |questions| asked.all(questions));
        let second = gather.ask(2, |questions| asked.all(questions));
        let dropped = async {
            tokio::select! {
                _ = first => false,
                () = tokio::time::sleep(Duration::from_millis(50)) => true,
            }
        };
        let (was_dropped, answer) = futures::join!(dropped, second);
        assert!(was_dropped);
        assert_eq!(answer.unwrap(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_while_a_round_is_dropped_are_taken_up_by_the_next() {
        let (gather, asked) = (Gather::default(), Asked::default());
        let leader = gather.ask(0, |questions| asked.all(questions));
        let followers = (1..20).map(|question| gather.ask(question, |questions| asked.all(questions)));
        let abandoned = tokio::time::timeout(Duration::from_millis(10), leader);
        let (abandoned, answers) = futures::join!(abandoned, futures::future::try_join_all(followers));
        assert!(abandoned.is_err());
        assert_eq!(answers.unwrap().iter().sum::<u32>(), (1..20).sum::<u32>() * 2);
    }
}
