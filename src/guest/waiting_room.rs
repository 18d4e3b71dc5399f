//! Where inputs wait for a start that is far away: one thread for all of them.
//!
//! A thread with its stack, its executor and what the allocator keeps for it is a hundred kilobytes and
//! more. A guest that runs once an hour needs them for milliseconds. And what the allocator once had for a
//! thread it never gives back, but has again for the next; so of a hundred guests that are due at the same
//! moment, as all are at the beginning, a few go at a time, as long as those are quick. A guest that waits for
//! something, or computes for long, is in nobody's way: it gives its place back.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{sleep, timeout};

use super::threads;
use crate::host::alloc::release_freed_memory;
use crate::rarely::Rarely;

/// Whoever has seen no place given back for so long goes beside those who are out.
const PATIENCE: Duration = Duration::from_millis(100);
/// And so does whoever has waited for so long.
const LONGEST_QUEUE: Duration = Duration::from_secs(1);
/// Who closes the room waits so long for its thread, which then ends by itself.
const LONGEST_CLOSING: Duration = Duration::from_secs(2);
/// How soon after the last of them has come in what all have left behind is tidied up.
const TIDY_AFTER: Duration = Duration::from_secs(1);

/// The thread, for as long as somebody has it. Whoever drops it last waits for its end, so those who wait
/// in it only have its handle.
#[derive(Debug)]
pub struct WaitingRoom {
    seat: Seat,
    close: Option<oneshot::Sender<()>>,
    ended: Mutex<mpsc::Receiver<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A guest's place in the room; without it being kept open.
#[derive(Clone, Debug)]
pub struct Seat {
    handle: Handle,
    /// As many as there are processors.
    doors: Arc<Semaphore>,
    /// How often one has become free.
    given_back: Arc<AtomicU64>,
    tidiness: Arc<Tidiness>,
}

/// When memory that is free was last given back to the system.
#[derive(Debug, Default)]
struct Tidiness {
    /// How many have come in for long.
    comers: AtomicU64,
    done: Rarely,
}

/// A guest has left the room for a thread; to be kept until that is no longer needed.
#[derive(Debug)]
pub struct Outside {
    /// Kept by a guest that did not have to go beside others; the next one is let out when it is dropped.
    door: Option<OwnedSemaphorePermit>,
    since: Instant,
    seat: Seat,
}

static WAITING_ROOM: Mutex<Weak<WaitingRoom>> = Mutex::new(Weak::new());

impl WaitingRoom {
    /// The process's one.
    ///
    /// # Errors
    /// When the system has no thread or file descriptor left.
    pub fn shared() -> io::Result<Arc<Self>> {
        // What a panic leaves behind is a whole value.
        let mut known = WAITING_ROOM.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.upgrade() {
            return Ok(known);
        }
        let made = Arc::new(Self::new()?);
        *known = Arc::downgrade(&made);
        Ok(made)
    }

    fn new() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let (close, closed) = oneshot::channel::<()>();
        let handle = runtime.handle().clone();
        let (end, ended) = mpsc::sync_channel::<()>(0);
        let thread = threads::start("exec_wasi-wait", move || {
            // Nothing is ever sent: that the sender is gone is the signal.
            let _ = runtime.block_on(closed);
            drop((runtime, end));
        })?;
        let doors = Arc::new(Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)));
        let seat = Seat { handle, doors, given_back: Arc::default(), tidiness: Arc::default() };
        Ok(Self { seat, close: Some(close), ended: Mutex::new(ended), thread: Some(thread) })
    }

    /// Where to wait.
    pub fn seat(&self) -> Seat {
        self.seat.clone()
    }
}

impl Seat {
    /// Has `wait` polled by the room's thread.
    pub fn spawn(&self, wait: impl Future<Output = ()> + Send + 'static) {
        self.handle.spawn(wait);
    }

    /// For one who has come in for long: gives back to the system what runs have needed, once for all who come in
    /// one after the other. It stops whoever allocates meanwhile, the host too.
    pub async fn tidy_up(&self) {
        let comer = self.tidiness.comers.fetch_add(1, Ordering::Relaxed) + 1;
        sleep(TIDY_AFTER).await;
        let is_last = self.tidiness.comers.load(Ordering::Relaxed) == comer;
        // Some always come, where there are very many.
        if self.tidiness.done.now() || is_last {
            release_freed_memory();
        }
    }

    /// Waits, for a moment at most, until few others are outside.
    pub async fn leave(&self) -> Outside {
        Outside { door: self.door().await, since: Instant::now(), seat: self.clone() }
    }

    async fn door(&self) -> Option<OwnedSemaphorePermit> {
        let begun = Instant::now();
        let mut door = pin!(Arc::clone(&self.doors).acquire_owned());
        loop {
            let given_back = self.given_back.load(Ordering::Relaxed);
            if let Ok(door) = timeout(PATIENCE, &mut door).await {
                // They are never closed.
                return door.ok();
            }
            if self.given_back.load(Ordering::Relaxed) == given_back || begun.elapsed() >= LONGEST_QUEUE {
                return None;
            }
        }
    }
}

impl Outside {
    /// For one who went beside others and then had to wait for something else, which all may have waited for:
    /// waits like [`leave`](Seat::leave) before it goes on.
    pub async fn queue(&mut self) {
        if self.door.is_none() && self.since.elapsed() >= PATIENCE {
            self.door = self.seat.door().await;
        }
    }

    /// The next one may go.
    pub fn give_back(&mut self) {
        if self.door.take().is_some() {
            self.seat.given_back.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What a guest does with a place out here, if it has one: it is given back as soon as the guest waits.
    pub async fn of<G: Future>(mut place: Option<&mut Self>, guest: G) -> G::Output {
        let mut guest = pin!(guest);
        poll_fn(|context| {
            let poll = guest.as_mut().poll(context);
            if poll.is_pending()
                && let Some(place) = &mut place
            {
                place.give_back();
            }
            poll
        })
        .await
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl Drop for WaitingRoom {
    fn drop(&mut self) {
        self.close = None;
        // Those who wait are dropped there, with what they hold open on whatever file system.
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        if threads::has_ended(ended, LONGEST_CLOSING)
            && let Some(thread) = self.thread.take()
        {
            // The executor catches what panics in it.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_while_it_is_needed() {
        let one = WaitingRoom::shared().unwrap();
        let two = WaitingRoom::shared().unwrap();
        assert!(Arc::ptr_eq(&one, &two));
        let (done, waited) = mpsc::channel();
        one.seat().spawn(async move {
            done.send(std::thread::current().name().map(str::to_owned)).unwrap();
        });
        assert_eq!(waited.recv().unwrap().as_deref(), Some("exec_wasi-wait"));
    }

    /// Has `guests` leave the room, all at once.
    fn leave(room: &WaitingRoom, guests: usize) -> mpsc::Receiver<Outside> {
        let (left, outside) = mpsc::channel();
        for _ in 0..guests {
            let (seat, left) = (room.seat(), left.clone());
            room.seat().spawn(async move { left.send(seat.leave().await).unwrap() });
        }
        outside
    }

    #[test]
    fn a_few_leave_at_a_time_and_who_sees_nobody_come_back_goes_too() {
        let room = WaitingRoom::new().unwrap();
        let few = room.seat().doors.available_permits();
        let begun = Instant::now();
        let all: Vec<Outside> = leave(&room, few + 1).iter().collect();
        assert!(begun.elapsed() >= PATIENCE / 2, "nobody made room for the last one");
        assert_eq!(all.iter().filter(|outside| outside.door.is_some()).count(), few);
        drop(all);
        assert_eq!(room.seat().doors.available_permits(), few);
    }

    #[test]
    fn who_sees_others_come_back_waits_behind_them() {
        let room = WaitingRoom::new().unwrap();
        let few = room.seat().doors.available_permits();
        let outside = leave(&room, few * 5);
        // Each is out for so long that the last of them could have lost its patience twice.
        for out in outside {
            assert!(out.door.is_some());
            std::thread::sleep(PATIENCE / 2 / u32::try_from(few).unwrap());
        }
    }

    #[test]
    fn who_waits_is_in_nobodys_way() {
        let room = WaitingRoom::new().unwrap();
        let few = room.seat().doors.available_permits();
        for mut out in leave(&room, few * 3) {
            assert!(out.door.is_some());
            let seat = room.seat();
            room.seat().spawn(async move {
                Outside::of(Some(&mut out), std::future::pending::<()>()).await;
                drop(seat);
            });
        }
        let mut last = room.seat.handle.block_on(room.seat.leave());
        assert!(last.door.is_some());
        // To end is not to wait: its thread is still there.
        room.seat.handle.block_on(Outside::of(Some(&mut last), async {}));
        assert!(last.door.is_some());
    }

    #[test]
    fn who_went_beside_others_gets_a_door_of_its_own_once_there_is_one() {
        let room = WaitingRoom::new().unwrap();
        let few = room.seat().doors.available_permits();
        let mut all: Vec<Outside> = leave(&room, few + 1).iter().collect();
        let mut beside = all.pop().unwrap();
        assert!(beside.door.is_none());
        drop(all);
        room.seat.handle.block_on(beside.queue());
        assert!(beside.door.is_none(), "it had nothing to wait for");
        std::thread::sleep(PATIENCE);
        room.seat.handle.block_on(beside.queue());
        assert!(beside.door.is_some());
    }
}
