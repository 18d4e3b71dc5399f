//! The README says what the code does.

use flb_in_exec_wasi::config::OPTIONS;
use flb_in_exec_wasi::counters::Counters;

fn readme() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("the README")
}

/// The rows of the table below this head.
fn rows<'a>(readme: &'a str, head: &'a str) -> impl Iterator<Item = Vec<&'a str>> {
    let table = readme.lines().skip_while(move |line| *line != head).skip(2);
    table.take_while(|line| line.starts_with('|')).map(|line| line.split(" | ").collect())
}

fn name_in(cell: &str) -> String {
    cell.trim_start_matches("| ").trim_matches('`').to_owned()
}

#[test]
fn the_option_table_lists_every_option_with_its_default_in_order() {
    let readme = readme();
    let rows: Vec<(String, Option<String>)> = rows(&readme, "| option | default | meaning |")
        .map(|cells| (name_in(cells[0]), (cells[1] != "—").then(|| name_in(cells[1]))))
        .collect();
    let options: Vec<(String, Option<String>)> =
        OPTIONS.iter().map(|spec| (spec.name.to_owned(), spec.default.map(str::to_owned))).collect();
    assert_eq!(rows, options);
}

#[test]
fn the_table_of_events_lists_every_counter_in_order() {
    let readme = readme();
    let rows: Vec<String> = rows(&readme, "| event | counts |").map(|cells| name_in(cells[0])).collect();
    assert_eq!(rows, Counters::NAMES.map(|name| name.to_str().expect("a name is ASCII")));
}

#[test]
fn every_place_the_readme_names_exists() {
    let readme = readme();
    let table = readme.split("## Where things are").nth(1).expect("the table of places");
    let places = table.split('`').skip(1).step_by(2);
    for place in places {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(place);
        assert!(path.exists(), "{place}");
    }
}
