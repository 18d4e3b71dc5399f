//! Who computes: of guests that do nothing else, no more at a time than there are processors.
//!
//! A hundred threads that want the processor make everybody wait, the host's threads too, however low their
//! priority is. So a guest that has used up its share stands in line for its next turn, which is as long as
//! a tick of the epoch; the system's scheduler sees only the few whose turn it is.
//!
//! A guest that mostly waits, for time, for files, for the engine, stands in no line: it would lose a tick
//! at each step. The difference is one number, how much longer it has computed than it has waited. It is
//! measured in real time, so where processors are scarce, a guest that shares them counts as computing for
//! longer, and is in line the sooner.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// A guest that has computed this much more than it has waited gets in line: half a tick.
const FREE: Duration = Duration::from_millis(5);
/// Whoever has stood in line for so long goes on without a turn. All turns may be held by guests in a call
/// that the system does not return from; the others then are slow, and not at a standstill.
const PATIENCE: Duration = Duration::from_secs(10);

/// The turns of this process. One for each processor it may use.
fn turns() -> &'static Semaphore {
    static TURNS: OnceLock<Semaphore> = OnceLock::new();
    TURNS.get_or_init(|| Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)))
}

/// How much an input's guests have computed; outlasts a run, since a thousand short runs are as bad as one.
#[derive(Debug)]
pub struct Share {
    /// Computed so much longer than waited.
    ahead: Cell<Duration>,
    /// Since when it waits.
    left: Cell<Option<Instant>>,
}

impl Default for Share {
    /// Not free yet: a hundred inputs begin at the same time.
    fn default() -> Self {
        Self { ahead: Cell::new(FREE), left: Cell::default() }
    }
}

impl Share {
    /// The guest wants to compute; whether it may without a turn.
    fn is_free(&self, now: Instant) -> bool {
        // What it waits in line is no merit, so it is counted up to here only.
        let waited = self.left.take().map_or(Duration::ZERO, |left| now.saturating_duration_since(left));
        self.ahead.set(self.ahead.get().saturating_sub(waited));
        self.ahead.get() < FREE
    }

    /// The guest has computed from `begun` to `now`.
    fn computed(&self, begun: Instant, now: Instant) {
        self.ahead.set(self.ahead.get() + now.saturating_duration_since(begun));
        self.left.set(Some(now));
    }

    /// The guest has stood in line. What it does not use of its turn is left to it: a guest that makes many
    /// short calls would have to stand in line for each otherwise.
    fn turn_begins(&self) {
        self.ahead.set(Duration::ZERO);
    }
}

type Turn = Option<SemaphorePermit<'static>>;
type Wait = Pin<Box<dyn Future<Output = Turn>>>;

/// One run's place in the line.
#[derive(Default)]
pub struct Place {
    wait: Option<Wait>,
}

impl Place {
    /// Lets `compute` go on when it may. Pending while it is not its turn, or when `compute` is.
    pub fn poll<T>(
        &mut self,
        share: &Share,
        context: &mut Context<'_>,
        compute: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let mut now = Instant::now();
        let _turn = if self.wait.is_none() && share.is_free(now) {
            None
        } else {
            let turn = ready!(self.turn(context));
            share.turn_begins();
            now = Instant::now();
            turn
        };
        let poll = compute(context);
        share.computed(now, Instant::now());
        poll
    }

    /// Waits for a turn.
    fn turn(&mut self, context: &mut Context<'_>) -> Poll<Turn> {
        if self.wait.is_none()
            && let Ok(turn) = turns().try_acquire()
        {
            return Poll::Ready(Some(turn));
        }
        // Without one, after so much patience; the line is never closed.
        let wait = || Box::pin(async { timeout(PATIENCE, turns().acquire()).await.ok()?.ok() });
        let turn = ready!(self.wait.get_or_insert_with(|| wait()).as_mut().poll(context));
        self.wait = None;
        Poll::Ready(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn who_only_computes_gets_in_line_and_who_mostly_waits_does_not() {
        let (share, mut now) = (Share::default(), Instant::now());
        assert!(!share.is_free(now));
        share.computed(now, now);
        now += 9 * MS;
        for _ in 0..100 {
            assert!(share.is_free(now));
            share.computed(now, now + 4 * MS);
            now += 9 * MS;
        }
        assert!(share.is_free(now));
        share.computed(now, now + 10 * MS);
        assert!(!share.is_free(now + 10 * MS));
        // Until it has waited for long enough.
        share.computed(now, now);
        assert!(share.is_free(now + 6 * MS));
    }

    #[test]
    fn a_turn_is_for_many_short_calls_or_a_long_one() {
        let (share, now) = (Share::default(), Instant::now());
        assert!(!share.is_free(now));
        share.turn_begins();
        for _ in 0..4 {
            share.computed(now, now + MS);
            assert!(share.is_free(now + MS));
        }
        share.computed(now, now + MS);
        assert!(!share.is_free(now + MS));
    }

    #[test]
    fn time_in_the_line_is_no_merit() {
        let (share, now) = (Share::default(), Instant::now());
        share.computed(now, now + 50 * MS);
        assert!(!share.is_free(now + 50 * MS));
        assert!(!share.is_free(now + 500 * MS));
    }
}
