//! The sheet as JSON: every sample, so that another reading than "the best of" stays possible.

use serde_json::{Value, json};

use super::{FIGURES, Sheet, Who};

/// The whole sheet.
pub(crate) fn json(sheet: &Sheet) -> Value {
    let figures = FIGURES.iter().map(|figure| {
        json!({
            "key": figure.key,
            "title": figure.title.trim_start(),
            "unit": figure.unit,
            "bare_loop": sheet.samples(figure.key, Who::Loop),
            "weir": sheet.samples(figure.key, Who::Weir),
            "apache_kafka": sheet.samples(figure.key, Who::ApacheKafka),
            "allowed": sheet.allowed(figure),
            "reached": sheet.verdict(figure).map(|verdict| verdict.reached()),
        })
    });
    json!({ "figures": figures.collect::<Vec<_>>(), "failures": sheet.failures(), "notes": sheet.notes() })
}
