//! Components that hold more of each other than can be compiled.
//!
//! The compiler goes through every instance that a component makes, and through all that is in it: where each
//! component makes two of the next one, thirty of them in two kilobytes, that is a thousand million. Here each
//! component is read once, and what it makes is counted by number.

use wasmparser::{
    BinaryReaderError, ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind,
    ComponentTypeRef, Encoding, Instance, Parser, Payload,
};

/// Most of these of one program: instances, functions and other things that its components have, counted again for
/// each time a component is made. It makes for some seconds. Programs made of dozens of components have some thousands.
const MOST: u64 = 100_000;

/// Of a component that is given to another or taken out of an instance nobody can say it who reads each only once.
/// The compiler can, and may double it at each step; no toolchain makes such, so one is too much.
const UNKNOWN: u64 = u64::MAX;

/// Whether a program, in binary form, is beyond the limit. What can't be read is not.
pub fn is_in(binary: &[u8]) -> bool {
    things(binary).is_ok_and(|things| things > MOST)
}

/// A component, as far as it has been read.
#[derive(Default)]
struct Component {
    /// How many things are made with it.
    things: u64,
    /// The same of each component that has an index in it.
    known: Vec<u64>,
}

impl Component {
    fn makes(&mut self, things: u64) {
        self.things = self.things.saturating_add(things);
    }

    /// An index that doesn't exist is the compiler's affair.
    fn things_of(&self, index: u32) -> u64 {
        usize::try_from(index).ok().and_then(|index| self.known.get(index)).copied().unwrap_or(0)
    }
}

/// The last element is 1 back.
fn back<T>(elements: &[T], count: u32) -> Option<&T> {
    elements.get(elements.len().checked_sub(usize::try_from(count).ok()?)?)
}

fn things(binary: &[u8]) -> Result<u64, BinaryReaderError> {
    // Of each module and component around what is being read; a module makes nothing.
    let mut around: Vec<(Encoding, Component)> = Vec::new();
    let mut total = 0;
    for payload in Parser::new(0).parse_all(binary) {
        let payload = payload?;
        if let Payload::Version { encoding, .. } = payload {
            around.push((encoding, Component::default()));
            continue;
        }
        let Some(((encoding, this), outer)) = around.split_last_mut() else { break };
        match payload {
            Payload::End(_) => {
                let (is_component, things) = (*encoding == Encoding::Component, this.things);
                around.pop();
                match around.last_mut() {
                    Some((_, parent)) if is_component => parent.known.push(things),
                    Some(_) => {}
                    None => total = things,
                }
            }
            Payload::InstanceSection(instances) => {
                for instance in instances {
                    this.makes(match instance? {
                        Instance::Instantiate { args, .. } => 1 + args.len() as u64,
                        Instance::FromExports(exports) => 1 + exports.len() as u64,
                    });
                }
            }
            Payload::ComponentInstanceSection(instances) => {
                for instance in instances {
                    match instance? {
                        ComponentInstance::Instantiate { component_index, args } => {
                            this.makes(1 + args.len() as u64);
                            this.makes(this.things_of(component_index));
                        }
                        ComponentInstance::FromExports(exports) => this.makes(1 + exports.len() as u64),
                    }
                }
            }
            Payload::ComponentCanonicalSection(functions) => this.makes(functions.count().into()),
            Payload::ComponentAliasSection(aliases) => {
                for alias in aliases {
                    this.makes(1);
                    match alias? {
                        ComponentAlias::InstanceExport { kind: ComponentExternalKind::Component, .. } => {
                            this.known.push(UNKNOWN);
                        }
                        ComponentAlias::Outer { kind: ComponentOuterAliasKind::Component, count, index } => {
                            let from = match count {
                                0 => Some(&*this),
                                _ => back(outer, count).map(|(_, component)| component),
                            };
                            this.known.push(from.map_or(0, |component| component.things_of(index)));
                        }
                        _ => {}
                    }
                }
            }
            Payload::ComponentImportSection(imports) => {
                for import in imports {
                    this.makes(1);
                    if let ComponentTypeRef::Component(_) = import?.ty {
                        this.known.push(UNKNOWN);
                    }
                }
            }
            // What is exported has one more index by it.
            Payload::ComponentExportSection(exports) => {
                for export in exports {
                    this.makes(1);
                    let export = export?;
                    if export.kind == ComponentExternalKind::Component {
                        this.known.push(this.things_of(export.index));
                    }
                }
            }
            _ => {}
        }
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::is_in;

    fn is_in_text(text: &str) -> bool {
        is_in(&wat::parse_str(text).expect("it can be read"))
    }

    /// Each component makes the one within it twice, so many deep.
    fn doubling(levels: usize) -> String {
        let make = "(instance (instantiate $c)) (instance (instantiate $c))";
        let (open, close) = ("(component $c".repeat(levels), format!("{make})").repeat(levels));
        format!(
            "(component {open} (component $c (core module $m) (core instance (instantiate $m))) {close} {make})"
        )
    }

    #[test]
    fn components_count_as_often_as_they_are_made() {
        assert!(!is_in_text(&doubling(10)));
        assert!(is_in_text(&doubling(24)));
        // Beyond what can be counted.
        assert!(is_in_text(&doubling(90)));
        // Not made, a component counts nothing.
        assert!(!is_in_text(&format!("(component {})", doubling(24))));
    }

    #[test]
    fn components_are_known_by_other_names() {
        let doubled = |alias: &str, times: usize| {
            let more = |n| {
                let alias = alias.replace('_', &format!("$c{n}")).replace('+', &format!("$d{n}"));
                let twice = format!("(instance (instantiate $d{n})) ").repeat(2);
                format!("(component $c{} {alias} {twice})", n + 1)
            };
            let all: String = (0..times).map(more).collect();
            format!(
                "(component $r (component $c0 (core module $m) (core instance (instantiate $m))) {all} (instance (instantiate $c{times})))"
            )
        };
        assert!(!is_in_text(&doubled("(alias outer $r _ (component +))", 8)));
        assert!(is_in_text(&doubled("(alias outer $r _ (component +))", 24)));
        assert!(is_in_text(&doubled(
            "(alias outer $r _ (component $e)) (export + \"e\" (component $e))",
            24
        )));
    }

    #[test]
    fn a_component_from_elsewhere_may_be_any() {
        let maker = "(component $m (import \"x\" (component $x)) MAKES)";
        let program = |makes| {
            let maker = maker.replace("MAKES", makes);
            is_in_text(&format!(
                "(component (component $x) {maker} (instance (instantiate $m (with \"x\" (component $x)))))"
            ))
        };
        assert!(!program(""));
        assert!(program("(instance (instantiate $x))"));
        let taken = "(component (component $m (component $x) (export \"x\" (component $x)))
            (instance $i (instantiate $m)) (alias export $i \"x\" (component $y)) (instance (instantiate $y)))";
        assert!(is_in_text(taken));
    }

    #[test]
    fn all_that_a_component_has_counts() {
        let program = |times: usize| {
            let lowered = "(core func (canon lower (func $f)))".repeat(1000);
            let made = "(instance (instantiate $c (with \"f\" (func $f))))".repeat(times);
            format!(
                "(component (import \"f\" (func $f)) (component $c (import \"f\" (func $f)) {lowered}) {made})"
            )
        };
        assert!(!is_in_text(&program(50)));
        assert!(is_in_text(&program(150)));
    }

    #[test]
    fn a_large_file_takes_no_longer_than_its_size() {
        let file = wat::parse_str(format!("(component {})", "(component (component))".repeat(200_000)));
        let begin = Instant::now();
        assert!(!is_in(&file.expect("it can be read")));
        assert!(begin.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn what_cannot_be_read_is_not() {
        assert!(!is_in(b"(component"));
        assert!(!is_in(b"\0asm\x0d\0\x01\0\x04\x7f"));
        // A component that doesn't exist is made, and one of a component that isn't around it has a name.
        assert!(!is_in(b"\0asm\x0d\0\x01\0\x05\x04\x01\0\x07\0\x06\x05\x01\x04\x02\x7f\0"));
    }
}
