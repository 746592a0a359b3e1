//! The ratios as bars: how far each case is from its baseline, and from what it has to be.

use plotters::drawing::DrawingAreaErrorKind;
use plotters::prelude::{
    ChartBuilder, Color, IntoDrawingArea, IntoFont, IntoLogRange, PathElement, RGBColor, Rectangle,
    SVGBackend, Text,
};
use std::io;

use sexton_bench::{Measured, Target};

use super::Bench;
use crate::figures::{decimal, float};

const WIDTH: u32 = 900;
const ROW: u32 = 26;
const INK: RGBColor = RGBColor(60, 60, 60);
const REACHED: RGBColor = RGBColor(70, 130, 90);
const MISSED: RGBColor = RGBColor(190, 90, 60);
const NEUTRAL: RGBColor = RGBColor(110, 130, 160);

/// Bars of all cases that have a ratio, the first above.
pub(super) fn ratios(bench: &Bench) -> Result<String, DrawingAreaErrorKind<io::Error>> {
    let cases: Vec<&Measured> =
        bench.cases.iter().filter(|it| it.ratio.is_finite() && it.held_against > 0.0).collect();
    let n = float(u64::try_from(cases.len()).unwrap_or(0));
    let height = 90 + ROW * u32::try_from(cases.len()).unwrap_or(0);
    let (low, high) = (0.01, 100.0);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        root.fill(&RGBColor(255, 255, 255))?;
        let mut chart = ChartBuilder::on(&root)
            .margin(12)
            .caption(
                "ratio to the baseline of the same run (of times and bytes less is better); the mark is the target",
                ("sans-serif", 17).into_font().color(&INK),
            )
            .x_label_area_size(34)
            .y_label_area_size(170)
            .build_cartesian_2d((low..high).log_scale(), -n..0.0)?;
        chart
            .configure_mesh()
            .disable_y_mesh()
            .disable_y_axis()
            .x_label_formatter(&|ratio| format!("{ratio}"))
            .label_style(("sans-serif", 14).into_font().color(&INK))
            .draw()?;
        for (index, case) in cases.iter().enumerate() {
            let top = -float(u64::try_from(index).unwrap_or(0));
            let ratio = case.ratio.clamp(low, high);
            let colour = match case.is_reached() {
                Some(true) => REACHED,
                Some(false) => MISSED,
                None => NEUTRAL,
            };
            let area = [(1.0_f64.min(ratio), top - 0.82), (1.0_f64.max(ratio), top - 0.18)];
            chart.draw_series([Rectangle::new(area, colour.filled())])?;
            let target = match case.target {
                Some(Target::Least(target) | Target::Most(target)) => Some(target),
                Some(Target::MostAbove(_) | Target::Within(_)) | None => None,
            };
            let mark = |target| vec![(target, top - 0.95), (target, top - 0.05)];
            chart.draw_series(
                target.map(|target| PathElement::new(mark(target), INK.stroke_width(2))),
            )?;
            let font = ("sans-serif", 14).into_font().color(&INK);
            let middle = root.get_pixel_range().1.start;
            let row = i32::try_from(u32::try_from(index).unwrap_or(0) * ROW).unwrap_or(0);
            let at = (14, middle + 46 + row);
            root.draw(&Text::new(format!("{}  {}", case.name, decimal(case.ratio, 2)), at, font))?;
        }
        root.present()?;
    }
    Ok(svg)
}
