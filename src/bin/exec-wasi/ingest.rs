//! Taking records from an input, and holding it back when too many wait.

use std::sync::atomic::Ordering;

use crate::instance::Instance;
use crate::log::{debug, info, warning};
use crate::misuse;
use crate::output::Output;
use crate::records;

impl Instance {
    /// Stores records that the plugin hands over on the thread that flushes. 0, or -1 if they were dropped.
    ///
    /// When they reach `mem_buf_limit` the plugin is paused *before this returns*, from inside its own call,
    /// as the real host does.
    pub fn append(&self, count: Option<usize>, tag: Option<&str>, bytes: &[u8]) -> i32 {
        if self.buffer_paused.load(Ordering::Relaxed) {
            debug!("[input chunk] {} is paused, cannot append records", self.label());
            return -1;
        }
        let counted = records::count(bytes, self.shared.host);
        let records = match (&counted, count) {
            (Err(error), _) => {
                misuse::report(format_args!("{} appended what isn't records: {error}", self.label()));
                return -1;
            }
            (Ok(counted), Some(count)) if *counted != count => {
                misuse::report(format_args!("{} appended {counted} records and said {count}", self.label()));
                *counted
            }
            (Ok(counted), _) => *counted,
        };
        self.shared.note_records(records);
        let total = {
            let mut chunks = self.chunks.lock().expect("no panic under it");
            chunks.add(tag.unwrap_or(&self.tag), bytes);
            chunks.bytes()
        };
        let limit = self.settings.mem_buf_limit;
        if limit > 0 && total >= limit && !self.buffer_paused.load(Ordering::Relaxed) {
            warning!(
                "[input] {} paused (mem buf overlimit - event of size {}B exceeded limit {limit} to {total}B)",
                self.label(),
                bytes.len()
            );
            self.pause();
            self.buffer_paused.store(true, Ordering::Relaxed);
        }
        0
    }

    /// Offers what is stored to the outputs.
    pub fn flush(&self, outputs: &[Output]) {
        self.chunks.lock().expect("no panic under it").flush(outputs);
    }

    /// Lets go of what the outputs have taken, and resumes the plugin if that made room.
    pub fn settle(&self) {
        let total = {
            let mut chunks = self.chunks.lock().expect("no panic under it");
            chunks.forget_taken();
            chunks.bytes()
        };
        let limit = self.settings.mem_buf_limit;
        let over = limit > 0 && total >= limit;
        if !over && self.shared.is_ingesting() && self.buffer_paused.swap(false, Ordering::Relaxed) {
            self.resume();
            info!(
                "[input] {} resume (mem buf overlimit - buf size {total}B now below limit {limit}B)",
                self.label()
            );
        }
    }
}
