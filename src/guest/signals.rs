//! Signals are for the host's threads; ours take none.
//!
//! The host has handlers that print and stop things, and they run on whichever thread the system picks: it
//! must not be one with a guest's stack. And a file that grows beyond `ulimit -f` has the system send SIGXFSZ
//! to the thread that writes, which ends the process unless the signal is blocked; then the write fails, and
//! that is the guest's affair.

use std::ptr;

/// What a thread gets for what it did itself: a host that tells of a crash is to do so for ours too.
const CRASHES: [libc::c_int; 6] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGABRT];

/// Blocks all signals but crashes, for this thread and those that it starts.
pub fn leave_to_host() {
    let mut all = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `all` is a place for a set, for the time of the call.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    // SAFETY: `sigfillset` has filled it, as it does with any place for a set.
    let mut all = unsafe { all.assume_init() };
    for signal in CRASHES {
        // SAFETY: `all` is a set, for the time of the call.
        unsafe { libc::sigdelset(&raw mut all, signal) };
    }
    // SAFETY: `all` is a set, for the time of the call; the former mask is not asked for. It can fail only
    // for an unknown first argument.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, ptr::null_mut()) };
}

#[cfg(test)]
mod tests {
    /// The mask of this thread, as the system shows it.
    fn blocked() -> u64 {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap();
        u64::from_str_radix(mask.trim(), 16).unwrap()
    }

    #[test]
    fn our_threads_and_those_they_start_take_no_signals_but_crashes() {
        let has = |mask: u64, signal: i32| mask & (1 << (signal - 1)) != 0;
        std::thread::spawn(move || {
            super::leave_to_host();
            let inherited = std::thread::spawn(blocked).join().unwrap();
            for mask in [blocked(), inherited] {
                assert!(has(mask, libc::SIGXFSZ) && has(mask, libc::SIGTERM) && has(mask, libc::SIGCONT));
                assert!(!has(mask, libc::SIGSEGV) && !has(mask, libc::SIGBUS));
            }
        })
        .join()
        .unwrap();
    }
}
