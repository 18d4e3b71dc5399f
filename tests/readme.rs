//! The README says what the code does.

use flb_in_exec_wasi::config::OPTIONS;

fn readme() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("the README")
}

#[test]
fn the_option_table_lists_every_option_with_its_default_in_order() {
    let readme = readme();
    let rows = readme.lines().skip_while(|line| *line != "| option | default | meaning |").skip(2);
    let rows: Vec<(String, Option<String>)> = rows
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<&str> = line.split(" | ").collect();
            let name = cells[0].trim_start_matches("| ").trim_matches('`').to_owned();
            let default = (cells[1] != "—").then(|| cells[1].trim_matches('`').to_owned());
            (name, default)
        })
        .collect();
    let options: Vec<(String, Option<String>)> =
        OPTIONS.iter().map(|spec| (spec.name.to_owned(), spec.default.map(str::to_owned))).collect();
    assert_eq!(rows, options);
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
