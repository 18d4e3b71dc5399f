//! Waiting for the next start on the guest's own thread.
//!
//! The executor's clock counts whole milliseconds and comes up to one late, so of starts a millisecond apart every
//! third would be missed; and a wait of more than 64 of them it interrupts, once or more. Between two runs nothing
//! else needs the thread, so it waits by itself, and is woken once, when it is time.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::thread::Thread;
use std::time::Instant;

use tokio::sync::oneshot;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits until `time`. Breaks off when `cancelled` resolves. The thread's executor stands still meanwhile.
pub async fn until(time: Instant, cancelled: &mut oneshot::Receiver<()>) -> ControlFlow<()> {
    // What the last run has left for it to do, like closing connections, comes first, unless it is very much.
    tokio::task::yield_now().await;
    without_executor(time, cancelled)
}

/// The same on a thread that has none.
pub fn without_executor(time: Instant, cancelled: &mut oneshot::Receiver<()>) -> ControlFlow<()> {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        if Pin::new(&mut *cancelled).poll(&mut Context::from_waker(&waker)).is_ready() {
            return ControlFlow::Break(());
        }
        let wait = time.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            return ControlFlow::Continue(());
        }
        std::thread::park_timeout(wait);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn run<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn it_ends_when_it_is_time_and_not_before() {
        let (_keep, mut cancelled) = oneshot::channel();
        let time = Instant::now() + Duration::from_micros(1500);
        for _ in 0..2 {
            assert!(run(until(time, &mut cancelled)).is_continue());
            assert!(Instant::now() >= time);
        }
    }

    #[test]
    fn it_breaks_off_when_it_is_cancelled() {
        let (cancel, mut cancelled) = oneshot::channel();
        let canceller = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            drop(cancel);
        });
        assert!(run(until(Instant::now() + Duration::from_secs(3600), &mut cancelled)).is_break());
        canceller.join().unwrap();
    }

    #[test]
    fn what_the_executor_has_to_do_is_done_before() {
        let (_keep, mut cancelled) = oneshot::channel();
        let done = run(async {
            let task = tokio::spawn(async {});
            let _ = until(Instant::now() + Duration::from_millis(5), &mut cancelled).await;
            task.is_finished()
        });
        assert!(done);
    }
}
