//! What one configuration makes: plugins, inputs, outputs, parsers. Stands for `struct flb_config`.

use std::ffi::CStr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use crate::abi::flb_config;
use crate::args::Args;
use crate::instance::Instance;
use crate::log::error;
use crate::output::Output;
use crate::parsers::{self, Parser};
use crate::plugins::Plugins;
use crate::shared::Shared;
use crate::surface::Surface;

/// Handed to plugins by pointer. The list of plugins lies behind other words, as in the real host.
#[repr(C)]
pub struct Context {
    service: [usize; 64],
    plugins: Plugins,
    pub shared: Arc<Shared>,
    instances: OnceLock<Vec<Pin<Box<Instance>>>>,
    outputs: Mutex<Vec<Output>>,
    parsers: Vec<Parser>,
}

/// Exit code of a program that stops before the engine starts.
pub const REFUSED: i32 = 1;
/// Exit code of an engine that could not start (-1 in the real program).
pub const NOT_STARTED: i32 = 255;

impl Context {
    /// Registers and loads plugins only.
    pub fn with_plugins(surface: &Surface, args: &Args) -> Result<Arc<Self>, i32> {
        let refused = |error: String| {
            error!("[config] {error}");
            REFUSED
        };
        let shared = Shared::new(surface.host, args).map_err(|error| refused(error.to_string()))?;
        let mut all_parsers = Vec::new();
        for path in &args.parsers {
            all_parsers.extend(parsers::read(path).map_err(refused)?);
        }
        let context = Arc::new(Self {
            service: [0; 64],
            plugins: Plugins::new(surface.host.layout),
            shared: Arc::new(shared),
            instances: OnceLock::new(),
            outputs: Mutex::default(),
            parsers: all_parsers,
        });
        context.plugins.link();
        surface.set_config(context.as_host());
        for symbol in surface.built_in() {
            // SAFETY: the surface was built with this layout.
            unsafe { context.plugins.register(symbol) };
        }
        for path in &args.plugins {
            context.plugins.load(path).map_err(|()| REFUSED)?;
        }
        Ok(context)
    }

    /// Everything that `args` ask for, ready to start.
    pub fn new(surface: &Surface, args: &Args) -> Result<Arc<Self>, i32> {
        let context = Self::with_plugins(surface, args)?;
        let instances = context.create_instances(args)?;
        assert!(context.instances.set(instances).is_ok(), "set only here");
        for (id, section) in args.outputs.iter().enumerate() {
            let output = Output::start(section, id, &context.shared.events).map_err(|error| {
                error!("[config] {error}");
                NOT_STARTED
            })?;
            context.outputs().push(output);
        }
        Ok(context)
    }

    /// One instance for *every* plugin of a section's name; the properties go to the last.
    fn create_instances(&self, args: &Args) -> Result<Vec<Pin<Box<Instance>>>, i32> {
        let mut instances = Vec::new();
        for section in &args.inputs {
            let mut matching = self.plugins.all();
            matching.retain(|plugin| plugin.name().eq_ignore_ascii_case(&section.name));
            let Some(last) = matching.len().checked_sub(1) else {
                let name = &section.name;
                error!("[config] section '{name}' tried to instance a plugin name that doesn't exist");
                return Err(REFUSED);
            };
            for (at, plugin) in matching.into_iter().enumerate() {
                let nothing = crate::args::Section::new(&section.name);
                let section = if at == last { section } else { &nothing };
                let created = Instance::create(plugin, instances.len(), section, &self.shared);
                instances.push(created.map_err(|error| {
                    error!("[config] {}: {error}", section.name);
                    REFUSED
                })?);
            }
        }
        Ok(instances)
    }

    /// Are all properties' names known to their plugins? (Before a reload; a start finds out by itself.)
    pub fn check_properties(&self) -> Result<(), ()> {
        self.instances().iter().try_for_each(|instance| instance.check_properties())
    }

    /// The context behind a pointer that a plugin hands back.
    ///
    /// # Safety
    /// The pointer was given to the plugin by this host, and the context still exists.
    pub unsafe fn from_host<'a>(config: *mut flb_config) -> &'a Self {
        // SAFETY: `as_host` made it from a reference.
        unsafe { &*config.cast::<Self>() }
    }

    /// The pointer that stands for this context.
    pub fn as_host(&self) -> *mut flb_config {
        std::ptr::from_ref(self).cast_mut().cast()
    }

    pub fn plugins(&self) -> &Plugins {
        &self.plugins
    }

    /// In the order of the configuration.
    pub fn instances(&self) -> &[Pin<Box<Instance>>] {
        self.instances.get().map_or(&[], Vec::as_slice)
    }

    pub fn outputs(&self) -> MutexGuard<'_, Vec<Output>> {
        self.outputs.lock().expect("no panic under it")
    }

    pub fn parser(&self, name: &CStr) -> Option<&Parser> {
        self.parsers.iter().find(|parser| parser.is_called(name))
    }
}
