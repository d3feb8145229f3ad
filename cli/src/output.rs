//! What commands print: tables and lines for people, JSON for programs.
//!
//! Answers go to standard output, remarks to standard error, so that a pipe carries answers alone. Field names of JSON are
//! a promise: they may be added to and never change.

use std::io::{self, Write};

use clap::ValueEnum;
use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use crate::command_error::CommandError;

/// For whom to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// A column: its heading, and whether it holds numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    heading: &'static str,
    alignment: CellAlignment,
}

/// A column of words.
pub(crate) const fn words(heading: &'static str) -> Column {
    Column { heading, alignment: CellAlignment::Left }
}

/// A column of numbers, which line up at their ends.
pub(crate) const fn numbers(heading: &'static str) -> Column {
    Column { heading, alignment: CellAlignment::Right }
}

/// Lays out rows under headings: no lines, no trailing blanks, so that it can be read and cut alike.
pub(crate) fn table<const N: usize>(columns: [Column; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(columns.map(|column| column.heading));
    table.add_rows(rows);
    for (index, column) in columns.iter().enumerate() {
        if let Some(laid_out) = table.column_mut(index) {
            laid_out.set_padding((0, 2));
            laid_out.set_cell_alignment(column.alignment);
        }
    }
    table.trim_fmt()
}

/// Prints a line or several.
pub(crate) fn print(text: &str) -> Result<(), CommandError> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(CommandError::Output)
}

/// Prints one JSON document.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), CommandError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| CommandError::Output(error.into()))?;
    print(&text)
}

/// Says on standard error how far something is. With that closed there is nobody to tell.
pub(crate) fn remark(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Says that something was done.
pub(crate) fn done(format: Format, sentence: &str) -> Result<(), CommandError> {
    match format {
        Format::Json => print_json(&serde_json::json!({ "done": sentence })),
        Format::Table => print(sentence),
    }
}

/// Numbers with commas between, or a dash for none.
pub(crate) fn joined(ids: &[i32]) -> String {
    match ids {
        [] => "-".to_owned(),
        _ => ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
    }
}

/// A number, or a dash for none.
pub(crate) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_without_trailing_blanks() {
        let rows = [["a", "1"], ["long-name", "100"]].map(|row| row.map(str::to_owned));
        let expected = "NAME       COUNT\na              1\nlong-name    100";
        assert_eq!(table([words("NAME"), numbers("COUNT")], rows), expected);
    }

    #[test]
    fn nothing_is_a_dash() {
        assert_eq!([joined(&[]), joined(&[1, 2]), or_dash(None::<i32>), or_dash(Some(3))], ["-", "1,2", "-", "3"]);
    }
}
