//! The sheet as a picture: each figure as a share of its bar, on a logarithmic scale, so that milliseconds and megabytes share an axis.

use std::fmt::Write;

use super::{FIGURES, Figure, Sheet, Who};

const ROW: f64 = 22.0;
const TOP: f64 = 58.0;
const LABELS: f64 = 430.0;
const PLOT: f64 = 520.0;
const RIGHT: f64 = 70.0;
/// The ends of the axis, as shares of the bar.
const LEAST: f64 = 0.01;
const MOST: f64 = 100.0;
/// Where the axis is labelled.
const TICKS: [f64; 5] = [0.01, 0.1, 1.0, 10.0, 100.0];

/// An SVG of the figures that have a verdict.
pub(crate) fn svg(sheet: &Sheet) -> String {
    let rows: Vec<(&Figure, f64)> =
        FIGURES.iter().filter_map(|figure| Some((figure, sheet.verdict(figure)?.share))).collect();
    let height = TOP + ROW * rows.len() as f64 + 20.0;
    let width = LABELS + PLOT + RIGHT;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"10\" y=\"22\" font-size=\"15\">Each figure as a share of its bar: 1 or less is reached. Bars: Weir; marks: Apache Kafka.</text>\n"
    );
    for tick in TICKS {
        let (x, stroke) = (position(tick), if tick == 1.0 { "black" } else { "#ccc" });
        let _ = writeln!(
            svg,
            "<line x1=\"{x}\" x2=\"{x}\" y1=\"{}\" y2=\"{}\" stroke=\"{stroke}\"/><text x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{tick}</text>",
            TOP - 8.0,
            height - 15.0,
            TOP - 12.0
        );
    }
    for (index, (figure, share)) in rows.iter().enumerate() {
        draw_row(&mut svg, sheet, figure, *share, TOP + ROW * index as f64);
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw_row(svg: &mut String, sheet: &Sheet, figure: &Figure, share: f64, top: f64) {
    let middle = top + ROW / 2.0;
    let colour = if share <= 1.0 { "#2a7f62" } else { "#c0392b" };
    let (start, end) = (position(LEAST), position(share));
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\
         <rect x=\"{start}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{colour}\"/>\
         <text x=\"{}\" y=\"{}\">{share:.2}</text>",
        LABELS - 8.0,
        middle + 4.0,
        escaped(figure.title.trim_start()),
        top + 3.0,
        (end - start).max(1.0),
        ROW - 6.0,
        end + 5.0,
        middle + 4.0
    );
    if let (Some(kafka), Some(allowed)) = (sheet.best(figure, Who::ApacheKafka), sheet.allowed(figure)) {
        let x = position(kafka / allowed);
        let _ = writeln!(
            svg,
            "<path d=\"M{x} {} l5 8 l-5 8 l-5 -8 z\" fill=\"#444\"><title>Apache Kafka</title></path>",
            middle - 8.0
        );
    }
}

/// Where a share is on the axis.
fn position(share: f64) -> f64 {
    let clamped = share.clamp(LEAST, MOST);
    LABELS + PLOT * (clamped / LEAST).log10() / (MOST / LEAST).log10()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
