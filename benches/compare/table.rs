//! The results as a table, in Markdown: readable as it is, and the README takes it as it is.

use std::fmt::Write;

use crate::stats::{Sample, ratio};

/// One line of the table.
#[derive(Debug, Default)]
pub struct Row {
    /// The work.
    pub work: String,
    /// What was measured, with its unit.
    pub measure: &'static str,
    pub builtin: Sample,
    pub ours: Sample,
    pub floor: Sample,
}

/// The whole table, without what nobody measured.
pub fn table(rows: &[Row]) -> String {
    let head = ["work", "measure", "built-in", "this plugin", "built-in ÷ plugin", "bare wasmtime"];
    let mut lines = vec![head.map(str::to_owned)];
    for row in rows {
        let Row { work, measure, builtin, ours, floor } = row;
        lines.push([
            work.clone(),
            (*measure).to_owned(),
            builtin.to_string(),
            ours.to_string(),
            ratio(builtin, ours),
            floor.to_string(),
        ]);
    }
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        for (cell, width) in line.iter().zip(widths) {
            let _ = write!(text, "| {cell:width$} ");
        }
        text.push_str("|\n");
        if number == 0 {
            let rule = |(column, width): (usize, &usize)| match column {
                0 | 1 => format!("|{}", "-".repeat(width + 2)),
                _ => format!("|{}:", "-".repeat(width + 1)),
            };
            text.extend(widths.iter().enumerate().map(rule));
            text.push_str("|\n");
        }
    }
    text
}
