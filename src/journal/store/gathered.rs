//! Gathers questions of many callers, and answers them by one statement.
//!
//! A statement costs more for its way to the database and back than for its work. One task collects the questions that have
//! come, lets other tasks that are ready run first, and asks once; meanwhile the next questions gather. There is no timer: a question that
//! comes alone is asked at once. Each is asked after it came, so its answer is as new as one of its own.

use std::future::Future;

use tokio::sync::{mpsc, oneshot};

use crate::journal::fault::StoreFault;

/// The most questions in one statement, and the most that may wait before callers wait to ask.
const MOST: usize = 64;
const QUEUE: usize = 1024;

/// The turns that a gathering yields to other tasks without getting anything new.
const IDLE_TURNS: u32 = 2;

/// Questions of one kind. The task ends with the last handle.
pub struct Gathered<Q, A>(mpsc::Sender<Asked<Q, A>>);

type Asked<Q, A> = (Q, oneshot::Sender<Result<A, StoreFault>>);

impl<Q: Send + 'static, A: Send + 'static> Gathered<Q, A> {
    /// Starts the task. `answer` returns one answer for each question, in their order, or a fault of the whole statement.
    pub fn by<F>(answer: impl Fn(Vec<Q>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<Vec<Result<A, StoreFault>>, StoreFault>> + Send,
    {
        let (questions, mut asked) = mpsc::channel::<Asked<Q, A>>(QUEUE);
        tokio::spawn(async move {
            while let Some(first) = asked.recv().await {
                let (questions, waiting): (Vec<Q>, Vec<_>) = gather(first, &mut asked).await.into_iter().unzip();
                match answer(questions).await {
                    Ok(answers) if answers.len() == waiting.len() => {
                        for (waiting, answer) in waiting.into_iter().zip(answers) {
                            let _gone = waiting.send(answer);
                        }
                    }
                    // An answer that is not a caller's own would be worse than none.
                    Ok(_) => waiting.into_iter().for_each(|waiting| drop(waiting.send(Err(lost())))),
                    Err(fault) => waiting.into_iter().for_each(|waiting| drop(waiting.send(Err(fault.shared())))),
                }
            }
        });
        Self(questions)
    }

    /// Asks, and waits for the answer.
    pub async fn ask(&self, question: Q) -> Result<A, StoreFault> {
        let (answer, answered) = oneshot::channel();
        self.0.send((question, answer)).await.map_err(|_| lost())?;
        answered.await.map_err(|_| lost())?
    }
}

fn lost() -> StoreFault {
    StoreFault::Failed("the question was not answered".into())
}

/// Collects what is there, and lets other tasks that are ready add to it.
async fn gather<T>(first: T, asked: &mut mpsc::Receiver<T>) -> Vec<T> {
    let (mut all, mut idle) = (vec![first], 0);
    while idle < IDLE_TURNS && all.len() < MOST {
        let before = all.len();
        while all.len() < MOST
            && let Ok(next) = asked.try_recv()
        {
            all.push(next);
        }
        idle = if all.len() > before { 0 } else { idle + 1 };
        tokio::task::yield_now().await;
    }
    all
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn everybody_gets_the_answer_to_their_own_question() {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let doubled = Arc::new(Gathered::by(move |questions: Vec<u64>| {
            counter.fetch_add(1, Ordering::SeqCst);
            assert!(questions.len() <= MOST);
            async move { Ok(questions.into_iter().map(|question| Ok(question * 2)).collect()) }
        }));
        let mut tasks = tokio::task::JoinSet::new();
        for question in 0..500 {
            let doubled = Arc::clone(&doubled);
            tasks.spawn(async move { (question, doubled.ask(question).await.expect("an answer")) });
        }
        for (question, answer) in tasks.join_all().await {
            assert_eq!(answer, question * 2);
        }
        assert!(asked.load(Ordering::SeqCst) < 100, "many in one: {asked:?}");
    }

    /// I-15: an answer too few, or a fault, is an answer for nobody.
    #[tokio::test]
    async fn i_15_a_statement_that_fails_answers_nobody() {
        let short = Gathered::<u8, u8>::by(|_| async { Ok(Vec::new()) });
        let failing = Gathered::<u8, u8>::by(|_| async { Err(StoreFault::unreadable("a row")) });
        assert!(short.ask(1).await.is_err() && failing.ask(1).await.is_err() && failing.ask(2).await.is_err());
    }
}
