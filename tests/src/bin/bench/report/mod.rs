//! What was measured, beside what was promised: a sheet of figures with every sample, and its forms as table, JSON and plot.

mod bars;
mod figures;
mod json;
mod plot;
mod sheet;
mod table;

pub(crate) use bars::{Bar, Verdict};
pub(crate) use figures::{Better, FIGURES, Figure};
pub(crate) use json::json;
pub(crate) use plot::svg;
pub(crate) use sheet::{Sheet, Who};
pub(crate) use table::table;
