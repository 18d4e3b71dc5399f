//! One configured input: what `struct flb_input_instance` stands for, and the calls into its plugin.

use std::ffi::{CStr, CString, c_int, c_void};
use std::pin::Pin;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use crate::abi::{Registration, THREADED, flb_config, flb_input_instance};
use crate::args::Section;
use crate::chunks::Chunks;
use crate::collectors::Collectors;
use crate::counters::Counters;
use crate::events::EventLoop;
use crate::log::{debug, error, info};
use crate::options;
use crate::properties::Properties;
use crate::settings::InputSettings;
use crate::shared::Shared;
use crate::threaded::{self, InputThread};

/// Handed to plugins by pointer. They know its address only, but may search what lies behind it for the
/// list of properties, which therefore comes after some other words, as in the real host.
#[repr(C)]
pub struct Instance {
    event: [usize; 24],
    properties: Properties,
    pub id: usize,
    /// `<plugin>.<id>`
    pub name: String,
    /// The alias, or else the name.
    shown: CString,
    pub settings: InputSettings,
    pub tag: String,
    pub plugin: Registration,
    pub shared: Arc<Shared>,
    config: AtomicPtr<flb_config>,
    context: AtomicPtr<c_void>,
    pub collectors: Mutex<Collectors>,
    pub chunks: Mutex<Chunks>,
    /// Over `mem_buf_limit`; not set by the pause at shutdown.
    pub buffer_paused: AtomicBool,
    pub counters: Counters,
    /// Where its collectors wait: the engine's loop, or its thread's.
    events: OnceLock<Arc<EventLoop>>,
    pub thread: OnceLock<InputThread>,
}

impl Instance {
    /// An instance of `plugin`, configured by `section`.
    pub fn create(
        plugin: Registration,
        id: usize,
        section: &Section,
        shared: &Arc<Shared>,
    ) -> Result<Pin<Box<Self>>, String> {
        let name = format!("{}.{id}", plugin.name());
        let (mut settings, own) = InputSettings::split(&section.properties)?;
        // The plugin's flag decides unless the configuration does.
        let threaded = settings.threaded.unwrap_or(plugin.flags & THREADED != 0);
        settings.threaded = Some(threaded);
        let shown = settings.alias.clone().unwrap_or_else(|| name.clone());
        let instance = Box::pin(Self {
            event: [0; 24],
            properties: Properties::new(&own)?,
            id,
            shown: CString::new(shown).map_err(|_| "an alias contains a NUL".to_owned())?,
            tag: settings.tag.clone().unwrap_or_else(|| name.clone()),
            name,
            settings,
            plugin,
            shared: Arc::clone(shared),
            config: AtomicPtr::new(ptr::null_mut()),
            context: AtomicPtr::new(ptr::null_mut()),
            collectors: Mutex::default(),
            chunks: Mutex::default(),
            buffer_paused: AtomicBool::new(false),
            counters: Counters::default(),
            events: OnceLock::new(),
            thread: OnceLock::new(),
        });
        instance.properties.link();
        Ok(instance)
    }

    /// The instance behind a pointer that a plugin hands back.
    ///
    /// # Safety
    /// The pointer was given to the plugin by this host, and its context still exists.
    pub unsafe fn from_host<'a>(ins: *mut flb_input_instance) -> &'a Self {
        // SAFETY: `as_host` made it from a reference.
        unsafe { &*ins.cast::<Self>() }
    }

    /// The pointer that stands for this instance.
    pub fn as_host(&self) -> *mut flb_input_instance {
        ptr::from_ref(self).cast_mut().cast()
    }

    /// Alias or name, as plugins and log lines show it.
    pub fn shown(&self) -> &CStr {
        &self.shown
    }

    /// As a string of ours.
    pub fn label(&self) -> &str {
        self.shown.to_str().expect("made from a string")
    }

    pub fn properties(&self) -> &Properties {
        &self.properties
    }

    pub fn is_threaded(&self) -> bool {
        self.settings.threaded == Some(true)
    }

    /// The log level of this input: its own, or the service's.
    pub fn log_level(&self) -> c_int {
        self.settings.log_level.unwrap_or_else(crate::log::level)
    }

    /// Connects the instance with its context and the loop its collectors wait in.
    pub fn attach(&self, config: *mut flb_config, events: &Arc<EventLoop>) {
        self.config.store(config, Ordering::Relaxed);
        assert!(self.events.set(Arc::clone(events)).is_ok(), "an instance starts once");
    }

    /// The loop of `attach`.
    pub fn events(&self) -> &EventLoop {
        self.events.get().expect("collectors are set in callbacks, after `attach`")
    }

    pub fn set_context(&self, context: *mut c_void) {
        self.context.store(context, Ordering::Relaxed);
    }

    fn context(&self) -> *mut c_void {
        self.context.load(Ordering::Relaxed)
    }

    fn config(&self) -> *mut flb_config {
        self.config.load(Ordering::Relaxed)
    }

    /// Are the names of all properties known to the plugin?
    pub fn check_properties(&self) -> Result<(), ()> {
        options::check(&self.plugin, self.shared.host.map_stride, &self.properties)
    }

    /// `cb_init`.
    pub fn init(&self) -> Result<(), ()> {
        let Some(init) = self.plugin.init else { return Ok(()) };
        // SAFETY: a registered callback, called once with an instance and a context that outlive it.
        let result = unsafe { init(self.as_host(), self.config(), ptr::null_mut()) };
        if result == 0 { Ok(()) } else { Err(()) }
    }

    /// `cb_pre_run`; a failure is an error line.
    pub fn pre_run(&self) {
        let Some(pre_run) = self.plugin.pre_run else { return };
        // SAFETY: a registered callback; init has succeeded.
        if unsafe { pre_run(self.as_host(), self.config(), self.context()) } == -1 {
            error!("[input] pre_run of {} failed", self.name);
        }
    }

    /// Starts every collector.
    pub fn start_collectors(&self) {
        let mut collectors = self.collectors.lock().expect("no panic under it");
        for id in collectors.ids() {
            collectors.start(id, self.events(), self.id);
        }
    }

    /// Has its start begun?
    pub fn is_attached(&self) -> bool {
        self.events.get().is_some()
    }

    /// Calls the collector `id`, if it is running.
    pub fn collect(&self, id: c_int) {
        // Not under the lock: the callback may pause its collector.
        let ready = self.collectors.lock().expect("no panic under it").ready(id);
        if let Some(callback) = ready {
            // SAFETY: a callback the plugin set for this instance; the instance hasn't exited.
            unsafe { callback(self.as_host(), self.config(), self.context()) };
        }
    }

    /// Tells the plugin to stop, for a full buffer or at shutdown.
    pub fn pause(&self) {
        if self.buffer_paused.load(Ordering::Relaxed) || self.plugin.pause.is_none() {
            return;
        }
        if self.context().is_null() {
            return;
        }
        if let Some(thread) = self.thread.get() {
            thread.pause();
        } else {
            info!("[input] pausing {}", self.label());
            self.call_pause();
        }
    }

    /// The opposite.
    pub fn resume(&self) {
        // Hosts before 5.1 call it without a context as well.
        let guarded = self.shared.host.version >= 50_100;
        if self.plugin.resume.is_none() || (guarded && self.context().is_null()) {
            return;
        }
        let on_its_thread = self.shared.host.version >= threaded::FIXED_IN;
        if let (Some(thread), true) = (self.thread.get(), on_its_thread) {
            thread.resume();
        } else {
            info!("[input] resume {}", self.label());
            self.call_resume();
        }
    }

    /// `cb_pause`, on the instance's thread.
    pub fn call_pause(&self) {
        if let Some(pause) = self.plugin.pause {
            // SAFETY: a registered callback; the context is the one the plugin set.
            unsafe { pause(self.context(), self.config()) };
        }
    }

    /// `cb_resume`, on the instance's thread.
    pub fn call_resume(&self) {
        if let Some(resume) = self.plugin.resume {
            // SAFETY: as for pause.
            unsafe { resume(self.context(), self.config()) };
        }
    }

    /// Ends the instance: `cb_pre_exit` where the release has it, then `cb_exit` on the instance's thread.
    pub fn exit(&self) {
        if let Some(thread) = self.thread.get() {
            if let Some(pre_exit) = self.plugin.pre_exit {
                // SAFETY: a registered callback; called on the engine's thread, as the release does.
                unsafe { pre_exit(self.context(), self.config()) };
            }
            thread.exit_and_join();
        } else {
            self.call_exit();
        }
    }

    /// `cb_exit`; not called without a context.
    pub fn call_exit(&self) {
        let context = self.context();
        if let (Some(exit), false) = (self.plugin.exit, context.is_null()) {
            debug!("[input] exiting {}", self.label());
            // SAFETY: a registered callback, the last one that is called for this context.
            unsafe { exit(context, self.config()) };
        }
        self.collectors.lock().expect("no panic under it").clear(self.events());
    }
}
