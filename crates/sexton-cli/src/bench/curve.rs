//! Latency against offered load as a picture: above how long calls take, below what becomes of them.

use std::io;

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind};
use plotters::prelude::{
    Cartesian2d, ChartBuilder, ChartContext, Circle, Color, IntoDrawingArea, IntoFont,
    IntoLogRange, LineSeries, PathElement, RGBColor, Ranged, SVGBackend, SeriesLabelPosition, Text,
    TextStyle,
};
use sexton_bench::{LoadPoint, Measured};

use crate::figures::decimal;

type PlotError = DrawingAreaErrorKind<io::Error>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b, Y> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, Y>>;

const WIDTH: u32 = 900;
/// The heights of the two parts.
const ABOVE: u32 = 400;
const BELOW: u32 = 250;
/// The room for the numbers and the name of a vertical axis.
const LEFT: u32 = 86;
const FONT: i32 = 14;

const PAPER: RGBColor = RGBColor(255, 255, 255);
const INK: RGBColor = RGBColor(60, 60, 60);
const GRID: RGBColor = RGBColor(225, 225, 225);
const HALF: RGBColor = RGBColor(70, 110, 180);
const MOST: RGBColor = RGBColor(190, 90, 60);
const REFUSED: RGBColor = RGBColor(130, 130, 130);
const SERVED: RGBColor = RGBColor(70, 130, 90);

/// A line with its name.
struct Line {
    name: &'static str,
    colour: RGBColor,
    points: Vec<(f64, f64)>,
}

/// The first case that has a curve, as a picture; nothing if none has.
pub(super) fn picture(cases: &[Measured]) -> Result<Option<String>, PlotError> {
    let curves = cases.iter().map(Measured::curve);
    let curve = curves.into_iter().find(|it| !it.is_empty());
    let sorted = curve.map(|mut points| {
        // Where callers had no time, less may have been offered than at a smaller load before.
        points.sort_by(|one, other| one.load.total_cmp(&other.load));
        points
    });
    sorted.map(|points| draw(&points)).transpose()
}

fn draw(points: &[LoadPoint]) -> Result<String, PlotError> {
    let mut svg = String::new();
    {
        let size = (WIDTH, ABOVE + BELOW);
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&PAPER)?;
        let (above, below) = root.split_vertically(ABOVE);
        let right = points.iter().map(|it| it.load).fold(1.0, f64::max) * 1.04;
        latency(&above, points, right)?;
        shares(&below, points, right)?;
        root.present()?;
    }
    Ok(svg)
}

fn text() -> TextStyle<'static> {
    TextStyle::from(("sans-serif", FONT).into_font()).color(&INK)
}

fn of(points: &[LoadPoint], y: impl Fn(&LoadPoint) -> Option<f64>) -> Vec<(f64, f64)> {
    points.iter().filter_map(|it| Some((it.load, y(it)?))).collect()
}

/// How long calls take, from the moment for which they were meant.
fn latency(area: &Area<'_>, points: &[LoadPoint], right: f64) -> Result<(), PlotError> {
    let lines = [
        Line { name: "served: 99 of 100", colour: MOST, points: of(points, |it| Some(it.p99_ms)) },
        Line { name: "served: half", colour: HALF, points: of(points, |it| Some(it.p50_ms)) },
        Line {
            name: "refused: 99 of 100",
            colour: REFUSED,
            points: of(points, |it| it.refused_p99_ms),
        },
    ];
    let all = || lines.iter().flat_map(|line| &line.points).map(|(_, y)| y.max(1e-3));
    let decade = |it: f64| 10_f64.powf(it);
    let low = decade(all().fold(1.0, f64::min).log10().floor());
    let high = decade(all().fold(1.0, f64::max).log10().ceil());
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .margin_right(24)
        .caption(
            "durable increments of 1,000 actors, offered whether or not earlier ones were answered",
            ("sans-serif", 17).into_font().color(&INK),
        )
        .x_label_area_size(24)
        .y_label_area_size(LEFT)
        .build_cartesian_2d(0.0..right, (low..high).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(PAPER)
        .bold_line_style(GRID)
        .axis_style(INK)
        .label_style(text())
        .axis_desc_style(text())
        .x_labels(9)
        .y_desc("time until answered, ms (log)")
        .y_label_formatter(&|ms| decimal(*ms, if *ms < 1.0 { 3 } else { 0 }))
        .draw()?;
    limit(&mut chart, (low, high))?;
    let name = Text::new("what can be served", (1.03, low * 2.0), text());
    chart.draw_series([name])?;
    draw_lines(&mut chart, lines, SeriesLabelPosition::LowerRight)
}

/// What becomes of the calls.
fn shares(area: &Area<'_>, points: &[LoadPoint], right: f64) -> Result<(), PlotError> {
    let share = |part: f64, of: f64| 100.0 * part / of.max(f64::MIN_POSITIVE);
    let lines = [
        Line {
            name: "served",
            colour: SERVED,
            points: of(points, |it| Some(share(it.served, it.offered))),
        },
        Line {
            name: "refused",
            colour: REFUSED,
            points: of(points, |it| Some(share(it.refused, it.offered))),
        },
    ];
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .margin_right(24)
        .x_label_area_size(46)
        .y_label_area_size(LEFT)
        .build_cartesian_2d(0.0..right, 0.0..104.0)?;
    chart
        .configure_mesh()
        .light_line_style(PAPER)
        .bold_line_style(GRID)
        .axis_style(INK)
        .label_style(text())
        .axis_desc_style(text())
        .x_labels(9)
        .y_labels(6)
        .x_desc("offered load, as so many times what can be served")
        .y_desc("share of calls, %")
        .y_label_formatter(&|share| format!("{share:.0}"))
        .draw()?;
    limit(&mut chart, (0.0, 104.0))?;
    draw_lines(&mut chart, lines, SeriesLabelPosition::MiddleLeft)
}

/// Where as much is offered as can be served.
fn limit<Y: Ranged<ValueType = f64>>(
    chart: &mut Chart<'_, '_, Y>,
    (low, high): (f64, f64),
) -> Result<(), PlotError> {
    chart.draw_series([PathElement::new([(1.0, low), (1.0, high)], INK.stroke_width(1))])?;
    Ok(())
}

/// Lines with their points and a legend.
fn draw_lines<'a, Y: Ranged<ValueType = f64>>(
    chart: &mut Chart<'a, 'a, Y>,
    lines: impl IntoIterator<Item = Line>,
    legend: SeriesLabelPosition,
) -> Result<(), PlotError> {
    for Line { name, colour, points } in lines {
        let stroke = colour.stroke_width(2);
        chart
            .draw_series(LineSeries::new(points.iter().copied(), stroke))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], stroke));
        let dots = points.iter().map(|&point| Circle::new(point, 3, colour.filled()));
        chart.draw_series(dots)?;
    }
    chart
        .configure_series_labels()
        .position(legend)
        .background_style(PAPER)
        .border_style(GRID)
        .label_font(text())
        .margin(8)
        .draw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_has_its_lines_its_axes_and_its_legend() {
        let point = |load: f64| LoadPoint {
            load,
            offered: 100.0 * load,
            served: 100.0 * load.min(1.0),
            refused: 100.0 * (load - 1.0).max(0.0),
            p50_ms: 0.2 * load,
            p99_ms: 3.0 * load,
            refused_p99_ms: (load > 1.0).then_some(0.01),
        };
        let svg = draw(&[0.5, 1.0, 4.0].map(point)).unwrap();
        let words =
            ["served: half", "refused: 99 of 100", "ms (log)", "share of calls, %", "so many"];
        assert!(words.iter().all(|words| svg.contains(words)), "{svg}");
        assert_eq!(svg.matches("<circle").count(), 3 + 3 + 1 + 3 + 3);
    }

    #[test]
    fn without_a_curve_there_is_no_picture() {
        assert!(picture(&[]).unwrap().is_none());
    }
}
