//! Listings of directories, for components of WASI 0.2: wasmtime-wasi reads a directory as a whole into memory that
//! counts nowhere, and keeps it as long as the guest keeps the listing. So a guest has a few at a time.
//!
//! (Core modules keep none; components of WASI 0.3 read through a stream, which holds a thread.)

use wasmtime::component::{Linker, Resource, ResourceTable};
use wasmtime::{Result, StoreContextMut};
use wasmtime_wasi::p2::ReaddirIterator;
use wasmtime_wasi::p2::bindings::filesystem::types::{Descriptor, ErrorCode, HostDescriptor};

use super::component::State;

/// Most that a guest has open at a time: more than a program needs that goes through a tree.
const MOST: usize = 8;

/// Where WASI 0.2 has its files, in the version that wasmtime-wasi gives.
const FILES: &str = "wasi:filesystem/types@0.2.12";

/// The handles of one run's listings.
#[derive(Default)]
pub struct Listings(Vec<u32>);

impl Listings {
    /// Whether there may be one more.
    fn have_room(&mut self, handles: &ResourceTable) -> bool {
        // A number that was given back may be another thing's by now.
        self.0.retain(|handle| handles.get(&Resource::<ReaddirIterator>::new_borrow(*handle)).is_ok());
        self.0.len() < MOST
    }

    fn add(&mut self, handle: u32) {
        // One that was used for an earlier listing as well is one.
        self.0.retain(|other| *other != handle);
        self.0.push(handle);
    }
}

/// Puts ours in the place of wasmtime-wasi's.
///
/// # Errors
/// Only if wasmtime-wasi's types were no longer those of WASI.
pub fn add_to_linker(linker: &mut Linker<State>) -> Result<()> {
    linker.instance(FILES)?.func_wrap_async(
        "[method]descriptor.read-directory",
        |mut store: StoreContextMut<'_, State>, (directory,): (Resource<Descriptor>,)| {
            Box::new(async move {
                let (listings, mut files) = store.data_mut().listings_and_files();
                if !listings.have_room(files.table) {
                    return Ok((Err(ErrorCode::InsufficientMemory),));
                }
                match HostDescriptor::read_directory(&mut files, directory).await {
                    Ok(listing) => {
                        listings.add(listing.rep());
                        Ok((Ok(listing),))
                    }
                    Err(error) => Ok((Err(error.downcast()?),)),
                }
            })
        },
    )
}
