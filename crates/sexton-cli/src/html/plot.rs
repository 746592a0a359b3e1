//! One picture: axes, a grid, and shapes, as SVG whose colours are names of the style sheet.
//!
//! plotters knows colours only as numbers, so each name has a number that no one would choose
//! for its looks, and is put back into the finished text.

use std::io;

use plotters::coord::types::RangedCoordf64;
use plotters::drawing::DrawingAreaErrorKind;
use plotters::prelude::{
    Cartesian2d, ChartBuilder, ChartContext, IntoDrawingArea, IntoFont, PathElement, Polygon,
    RGBColor, SVGBackend, ShapeStyle, TextStyle,
};

use crate::figures::decimal;

/// Why a picture could not be drawn.
pub(super) type PlotError = DrawingAreaErrorKind<io::Error>;

/// The size of a picture in its own units, which are pixels where the page is wide enough.
const WIDTH: u32 = 900;
/// The room for the numbers and the name of the vertical axis.
const LEFT: u32 = 84;
const FONT: i32 = 16;

/// A colour of the style sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    /// Text.
    Ink,
    /// Axes and grid.
    Line,
    /// What lies behind everything.
    Card,
    /// One of the eight colours for things to tell apart.
    Shade(u8),
    /// All the things that have no colour of their own.
    Other,
}

/// How many colours there are for things to tell apart.
pub(super) const SHADES: u8 = 8;

impl Colour {
    fn all() -> impl Iterator<Item = Self> {
        let shades = (0..SHADES).map(Self::Shade);
        [Self::Ink, Self::Line, Self::Card, Self::Other].into_iter().chain(shades)
    }

    /// Its name in the style sheet.
    pub(super) fn variable(self) -> String {
        match self {
            Self::Ink => "var(--quiet)".to_owned(),
            Self::Line => "var(--line)".to_owned(),
            Self::Card => "var(--card)".to_owned(),
            Self::Shade(index) => format!("var(--s{index})"),
            Self::Other => "var(--other)".to_owned(),
        }
    }

    const fn number(self) -> RGBColor {
        match self {
            Self::Ink => RGBColor(1, 2, 240),
            Self::Line => RGBColor(1, 2, 241),
            Self::Card => RGBColor(1, 2, 242),
            Self::Other => RGBColor(1, 2, 243),
            Self::Shade(index) => RGBColor(1, 2, index),
        }
    }

    fn stroke(self, width: u32) -> ShapeStyle {
        ShapeStyle { color: self.number().into(), filled: false, stroke_width: width }
    }

    fn fill(self) -> ShapeStyle {
        ShapeStyle { color: self.number().into(), filled: true, stroke_width: 0 }
    }
}

/// The unit of a horizontal axis, chosen by how much time it spans.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TimeUnit {
    /// Its name on the axis.
    pub(super) name: &'static str,
    /// Its length in milliseconds.
    pub(super) ms: f64,
}

impl TimeUnit {
    /// The largest unit of which the span has at least two.
    pub(super) fn of_span(span_ms: f64) -> Self {
        let units = [("days", 86_400_000.0), ("hours", 3_600_000.0), ("minutes", 60_000.0)];
        let fits =
            |&(name, ms): &(&'static str, f64)| (span_ms >= 2.0 * ms).then_some(Self { name, ms });
        units.iter().find_map(fits).unwrap_or(Self { name: "seconds", ms: 1_000.0 })
    }
}

/// What a picture is drawn in.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// The first and the last moment, in the unit of time.
    pub(super) x: (f64, f64),
    /// What the horizontal axis says; an axis without a name has no numbers either.
    pub(super) x_name: Option<String>,
    /// The top of the vertical axis, which begins at zero.
    pub(super) y_max: f64,
    /// What the vertical axis says.
    pub(super) y_name: String,
    /// Whether only whole numbers make sense on it.
    pub(super) is_whole: bool,
    /// The height of the picture.
    pub(super) height: u32,
}

/// Something to draw, in the units of the frame.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    /// A closed area.
    Area(Colour, Vec<(f64, f64)>),
    /// A line.
    Line(Colour, Vec<(f64, f64)>),
}

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Draws a picture.
pub(super) fn draw(frame: &Frame, shapes: &[Shape]) -> Result<String, PlotError> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, frame.height)).into_drawing_area();
        let bottom = if frame.x_name.is_some() { 50 } else { 12 };
        let mut chart = ChartBuilder::on(&root)
            .margin_top(10)
            .margin_right(24)
            .x_label_area_size(bottom)
            .y_label_area_size(LEFT)
            .build_cartesian_2d(frame.x.0..frame.x.1, 0.0..frame.y_max)?;
        axes(&mut chart, frame)?;
        for shape in shapes {
            match shape {
                Shape::Area(colour, points) => {
                    chart.plotting_area().draw(&Polygon::new(points.clone(), colour.fill()))?;
                }
                Shape::Line(colour, points) => {
                    chart
                        .plotting_area()
                        .draw(&PathElement::new(points.clone(), colour.stroke(2)))?;
                }
            }
        }
        root.present()?;
    }
    Ok(name_colours(&svg))
}

/// Draws axes, numbers and grid.
fn axes(chart: &mut Chart<'_, '_>, frame: &Frame) -> Result<(), PlotError> {
    let ink = Colour::Ink.number();
    let text = TextStyle::from(("sans-serif", FONT).into_font()).color(&ink);
    let y_step = step(frame.y_max, frame.height);
    let y_label = |y: &f64| number(*y, y_step);
    let x_label = |x: &f64| trim(decimal(*x, 3));
    let mut mesh = chart.configure_mesh();
    mesh.disable_x_mesh()
        .light_line_style(ShapeStyle { stroke_width: 0, ..Colour::Line.stroke(0) })
        .max_light_lines(0)
        .bold_line_style(Colour::Line.stroke(1))
        .axis_style(Colour::Line.stroke(1))
        .label_style(text.clone())
        .axis_desc_style(text)
        .y_labels(labels(frame))
        .y_label_formatter(&y_label)
        .y_desc(frame.y_name.as_str())
        .x_label_formatter(&x_label)
        .x_labels(12);
    match &frame.x_name {
        Some(name) => mesh.x_desc(name.as_str()).draw(),
        None => mesh.x_labels(0).draw(),
    }
}

/// How many numbers a vertical axis has room and use for.
fn labels(frame: &Frame) -> usize {
    let room = (frame.height / 45).max(2);
    // A whole number for each label, where there are only a few.
    let few = (1..room).find(|&it| frame.is_whole && f64::from(it) + 1.0 > frame.y_max);
    usize::try_from(few.map_or(room, |it| it + 1)).unwrap_or(2)
}

/// About how far apart the numbers on a vertical axis are.
fn step(y_max: f64, height: u32) -> f64 {
    y_max / f64::from((height / 45).max(2))
}

/// A number on an axis: short, with as many digits as the steps need.
fn number(y: f64, step: f64) -> String {
    let (divisor, suffix) = match y.abs().max(step) {
        it if it >= 1e9 => (1e9, "G"),
        it if it >= 1e6 => (1e6, "M"),
        it if it >= 1e4 => (1e3, "k"),
        _ => (1.0, ""),
    };
    let digits =
        [0, 1, 2, 3, 4, 5].into_iter().find(|&it| step / divisor >= 10_f64.powi(-it) / 2.0);
    let digits = usize::try_from(digits.unwrap_or(6) + 1).unwrap_or(2);
    let text = trim(decimal(y / divisor, digits));
    if text == "0" { text } else { format!("{text}{suffix}") }
}

/// A decimal without the zeros at its end.
fn trim(text: String) -> String {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// Puts the names of the style sheet in the place of the numbers that stood for them.
fn name_colours(svg: &str) -> String {
    let mut named = svg.to_owned();
    for colour in Colour::all() {
        let RGBColor(red, green, blue) = colour.number();
        let number = format!("#{red:02X}{green:02X}{blue:02X}");
        for property in ["fill", "stroke"] {
            named = named.replace(
                &format!("{property}=\"{number}\""),
                &format!("style=\"{property}:{}\"", colour.variable()),
            );
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_on_an_axis_are_short_and_differ_from_their_neighbours() {
        let cases = [
            ((0.0, 10.0), "0"),
            ((50.0, 10.0), "50"),
            ((0.5, 0.5), "0.5"),
            ((2_500.0, 500.0), "2,500"),
            ((12_500.0, 2_500.0), "12.5k"),
            ((4_000_000.0, 2_000_000.0), "4M"),
            ((0.000_002, 0.000_002), "0.000002"),
        ];
        for ((y, step), expected) in cases {
            assert_eq!(number(y, step), expected);
        }
    }

    #[test]
    fn the_unit_of_time_follows_from_the_span() {
        let names = [500.0, 119_000.0, 120_000.0, 7_200_000.0, 172_800_000.0, 1e11]
            .map(|span_ms| TimeUnit::of_span(span_ms).name);
        assert_eq!(names, ["seconds", "seconds", "minutes", "hours", "days", "days"]);
    }
}
