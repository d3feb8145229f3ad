//! The sheet as a table for people.

use comfy_table::{CellAlignment, Table, presets};

use super::sheet::number;
use super::{Bar, FIGURES, Figure, Sheet, Who};

/// The table, then what could not be measured and what should be known.
pub(crate) fn table(sheet: &Sheet) -> String {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["figure", "unit", "bare loop", "Weir", "× loop", "Apache Kafka", "× loop", "bar", "verdict"]);
    for figure in FIGURES.iter().filter(|figure| is_measured(sheet, figure)) {
        table.add_row(row(sheet, figure));
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = table.to_string();
    text.push('\n');
    for line in sheet.failures().iter().chain(sheet.notes()) {
        text.push_str(&format!("\n{line}"));
    }
    text
}

fn is_measured(sheet: &Sheet, figure: &Figure) -> bool {
    [Who::Loop, Who::Weir, Who::ApacheKafka].iter().any(|who| sheet.best(figure, *who).is_some())
}

fn row(sheet: &Sheet, figure: &Figure) -> Vec<String> {
    let floor = sheet.best(figure, Who::Loop);
    let cell = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), number);
    let ratio = |who| match (sheet.best(figure, who), floor) {
        (Some(value), Some(floor)) if floor > 0.0 => format!("{:.2}", value / floor),
        _ => String::new(),
    };
    let verdict = match (figure.bar, sheet.verdict(figure)) {
        (None, _) => String::new(),
        (Some(_), None) => "not measured".to_owned(),
        (Some(_), Some(verdict)) if verdict.reached() => "reached".to_owned(),
        (Some(_), Some(verdict)) => format!("MISSED {:.2}", verdict.share),
    };
    vec![
        figure.title.to_owned(),
        figure.unit.to_owned(),
        cell(floor),
        cell(sheet.best(figure, Who::Weir)),
        ratio(Who::Weir),
        cell(sheet.best(figure, Who::ApacheKafka)),
        ratio(Who::ApacheKafka),
        figure.bar.map_or_else(String::new, bar),
        verdict,
    ]
}

fn bar(bar: Bar) -> String {
    match bar {
        Bar::AtMost(amount) => format!("≤ {amount}"),
        Bar::TimesLoop(times) => format!("≤ {times} × loop"),
        Bar::TimesKafka(times) => format!("≤ {times} × Kafka"),
        Bar::TimesFigure(_, times) => format!("≤ {times} × plaintext"),
    }
}
