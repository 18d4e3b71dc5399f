//! Turns to compile: how many programs are compiled beside each other.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Programs that wait to be compiled: of small ones a few go at a time, of large ones a single one. All but the
/// smallest use every processor anyway, and a compilation takes memory in proportion to the program, so a hundred of
/// them side by side would be no sooner ready and all the heavier; and a small one is not behind a large one.
///
/// Nor is any behind one that takes for ever, as there are: where nothing moves for a while, one goes beside it.
struct Lane {
    state: Mutex<LaneState>,
    left: Condvar,
}

struct LaneState {
    /// Below zero while some have lost their patience.
    free: i64,
    /// When one last entered or left; all who wait begin to count anew.
    moved: Option<Instant>,
}

const LANE_PATIENCE: Duration = Duration::from_secs(60);

static SMALL: Lane = Lane::for_so_many(2);
static LARGE: Lane = Lane::for_so_many(1);

impl Lane {
    const fn for_so_many(free: i64) -> Self {
        Self { state: Mutex::new(LaneState { free, moved: None }), left: Condvar::new() }
    }

    /// Waits for its turn, which lasts as long as the result.
    fn enter(&'static self, patience: Duration) -> InLane {
        let mut state = self.state();
        loop {
            let stood_still = state.moved.map_or(Duration::ZERO, |moved| moved.elapsed());
            if state.free > 0 || stood_still >= patience {
                state.free -= 1;
                state.moved = Some(Instant::now());
                return InLane(self);
            }
            let waited = self.left.wait_timeout(state, patience - stood_still);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn state(&self) -> MutexGuard<'_, LaneState> {
        // Numbers are always whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A compilation may go on.
pub struct InLane(&'static Lane);

impl Drop for InLane {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.free += 1;
        state.moved = Some(Instant::now());
        self.0.left.notify_one();
    }
}

impl InLane {
    /// Who is next may go on.
    pub fn end(self) {}

    /// Gives this turn back and waits for one of a large program.
    pub fn of_large(self) -> Self {
        drop(self);
        turn(true)
    }
}

/// Waits until a program of this kind may be compiled; it may be until the result is dropped.
pub fn turn(large: bool) -> InLane {
    if large { LARGE.enter(LANE_PATIENCE) } else { SMALL.enter(LANE_PATIENCE) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_one_that_takes_for_ever_they_go_one_by_one() {
        static LANE: Lane = Lane::for_so_many(1);
        const PATIENCE: Duration = Duration::from_millis(100);
        let begun = Instant::now();
        let for_ever = LANE.enter(PATIENCE);
        let waiting = [(); 3].map(|()| std::thread::spawn(|| (LANE.enter(PATIENCE), Instant::now())));
        let mut entered = waiting.map(|thread| thread.join().unwrap().1.duration_since(begun));
        entered.sort();
        for (number, after) in (1..).zip(entered) {
            assert!(after >= PATIENCE * number, "{entered:?}");
        }
        drop(for_ever);
    }
}
