//! A program: what can be run, and why something can't.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::Arc;

use wasmtime::{Caller, Error, ExternType, InstancePre, Module, Val};

use super::component::{self, Command};
use super::engine::GuestEngine;
use super::native::Code;
use super::outcome::causes;
use super::sandbox::State;

/// Something that can be run.
pub struct Program {
    /// What it was compiled for.
    pub engine: Arc<GuestEngine>,
    pub form: Form,
    /// Functions that it imports and nobody has. It traps where it calls one.
    pub missing: Vec<String>,
}

/// What a program is.
pub enum Form {
    /// A core module of WASI 0.1.
    Module(InstancePre<State>),
    /// A component of WASI 0.2 or 0.3.
    Component(Command),
}

/// Why there is no program; a clause about the file.
#[derive(Clone, Debug)]
pub enum Failure {
    /// The file holds none that can run here, whenever it is looked at.
    NoProgram(String),
    /// It might work the next time.
    Passing(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::NoProgram(reason) | Self::Passing(reason)) = self;
        f.write_str(reason)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Passing(error.to_string())
    }
}

/// Makes compiled code ready to run, if it is a program.
///
/// # Errors
/// Why it is none; a clause.
pub fn ready(engine: &Arc<GuestEngine>, code: &Code) -> Result<Program, String> {
    let engine = Arc::clone(engine);
    match code {
        Code::Module(module) => {
            let (module, missing) = module_ready(&engine, module)?;
            Ok(Program { engine, form: Form::Module(module), missing })
        }
        Code::Component(component) => {
            let form = Form::Component(component::prepare(&engine, component)?);
            Ok(Program { engine, form, missing: Vec::new() })
        }
    }
}

/// Most functions of a program that may be missing: more than any toolchain leaves out.
const MOST_MISSING: usize = 100;

fn module_ready(engine: &GuestEngine, module: &Module) -> Result<(InstancePre<State>, Vec<String>), String> {
    check_start(module)?;
    let mut linker = Cow::Borrowed(&engine.linker);
    let mut missing = Vec::new();
    for import in module.imports() {
        let ExternType::Func(function) = import.ty() else { continue };
        // Of its own toolchain's making, such as what AssemblyScript calls before it gives up; often it is never called.
        // Without a function of WASI it would not get far.
        if import.module().starts_with("wasi") || missing.len() == MOST_MISSING {
            continue;
        }
        let name = format!("{}::{}", import.module(), import.name());
        if missing.contains(&name) {
            continue;
        }
        missing.push(name.clone());
        let traps = move |_: Caller<'_, State>, _: &[Val], _: &mut [Val]| {
            Err(Error::msg(format!("it called {name}, which is not there")))
        };
        linker
            .to_mut()
            .func_new(import.module(), import.name(), function, traps)
            .map_err(|error| refused(&error))?;
    }
    let ready = linker.instantiate_pre(module).map_err(|error| refused(&error))?;
    Ok((ready, missing))
}

fn refused(error: &Error) -> String {
    format!("it asks for what WASI 0.1 does not have: {}", causes(error))
}

fn check_start(module: &Module) -> Result<(), String> {
    match module.get_export("_start") {
        Some(ExternType::Func(start)) if start.params().len() == 0 && start.results().len() == 0 => Ok(()),
        Some(_) => Err("its export \"_start\" is not a function without parameters and results".into()),
        None if module.get_export("_initialize").is_some() => Err(
            "it has no function \"_start\" but \"_initialize\": it was built as a library (reactor), not as a program (command)".into(),
        ),
        None => Err("it has no function \"_start\": it was built as a library, not as a program".into()),
    }
}
