//! The pictures of the page, each from a part of the series.

use std::collections::BTreeMap;

use super::plot::{Colour, Frame, PlotError, SHADES, Shape, TimeUnit, draw};
use crate::figures::{decimal, duration_ms, float, float_signed, grouped, percent};
use crate::report::Report;
use crate::series::{Point, Series, coarser, regroup};

/// The height of a picture, in the units of [`draw`].
const HEIGHT: u32 = 300;
/// The most bars in a picture. Chosen: each is still some pixels wide.
const BARS_MAX: i64 = 160;

/// Pictures with a heading and a key to their colours.
pub(super) struct Figure {
    /// The heading.
    pub(super) title: String,
    /// Colours and what they stand for.
    pub(super) key: Vec<(String, String)>,
    /// The pictures, one below the other, as SVG; none if there is nothing to show.
    pub(super) pictures: Vec<String>,
}

/// Every figure of the page.
pub(super) fn all(report: &Report, series: &Series) -> Result<[Figure; 4], PlotError> {
    let time = Time::of(series);
    Ok([
        by_status(series, &time)?,
        hours(report, series, &time)?,
        alarms(report, series, &time)?,
        cost(report, series, &time)?,
    ])
}

/// The horizontal axis that all pictures share.
struct Time {
    from_ms: i64,
    to_ms: i64,
    unit: TimeUnit,
}

impl Time {
    fn of(series: &Series) -> Self {
        let points = series.points.iter().map(|it| it.at_ms);
        let alarms = series.alarms.iter().map(|it| it.from_ms);
        let (from_ms, to_ms) =
            points.chain(alarms).fold((i64::MAX, 0), |(low, high), it| (low.min(it), high.max(it)));
        let from_ms = from_ms.min(to_ms);
        // A run of a moment is shown as a second, so that there is an axis at all.
        let to_ms = to_ms.max(from_ms + 1_000);
        Self { from_ms, to_ms, unit: TimeUnit::of_span(float_signed(to_ms - from_ms)) }
    }

    fn x(&self, at_ms: i64) -> f64 {
        float_signed(at_ms) / self.unit.ms
    }

    fn frame(&self, y_name: &str, y_max: f64) -> Frame {
        Frame {
            x: (self.x(self.from_ms), self.x(self.to_ms)),
            x_name: Some(format!("{} since the trace began", self.unit.name)),
            y_max: if y_max > 0.0 { y_max * 1.05 } else { 1.0 },
            y_name: y_name.to_owned(),
            is_whole: false,
            height: HEIGHT,
        }
    }

    /// A value for each point as a line that goes on to the right edge.
    fn line(&self, points: &[Point], value: impl Fn(&Point) -> f64) -> Vec<(f64, f64)> {
        let end = points.last().map(|it| (self.x(self.to_ms), value(it)));
        points.iter().map(|it| (self.x(it.at_ms), value(it))).chain(end).collect()
    }

    /// A value for each point as a line of steps: it holds until the next point.
    fn steps(&self, points: &[Point], value: impl Fn(&Point) -> f64) -> Vec<(f64, f64)> {
        let mut line = Vec::with_capacity(points.len() * 2);
        for (index, point) in points.iter().enumerate() {
            let until = points.get(index + 1).map_or(self.to_ms, |next| next.at_ms);
            line.push((self.x(point.at_ms), value(point)));
            line.push((self.x(until), value(point)));
        }
        line.dedup();
        line
    }
}

/// Machines by status, stacked.
fn by_status(series: &Series, time: &Time) -> Result<Figure, PlotError> {
    let points = &series.points;
    let groups = colours(points);
    let most = points.iter().map(Point::machines).max().unwrap_or(0);
    let mut shapes = Vec::new();
    let mut below = vec![0_u64; points.len()];
    for group in &groups {
        let above: Vec<u64> =
            points.iter().zip(&below).map(|(point, below)| below + group.count(point)).collect();
        let lower = time.steps(points, at(points, &below));
        let upper = time.steps(points, at(points, &above));
        let outline: Vec<_> = upper.iter().copied().chain(lower.into_iter().rev()).collect();
        shapes.push(Shape::Area(group.colour, outline));
        below = above;
    }
    let pictures = if most == 0 {
        Vec::new()
    } else {
        let frame = Frame { is_whole: true, ..time.frame("machines", float(most)) };
        vec![draw(&frame, &shapes)?]
    };
    let mut key: Vec<_> = groups.iter().map(|it| (it.colour.variable(), it.name.clone())).collect();
    // As the areas lie in the picture: the uppermost first.
    key.reverse();
    let title = format!("Machines by status, {} at most", grouped(most));
    Ok(Figure { title, key, pictures })
}

/// The value of a point by its place among the points.
fn at<'a>(points: &'a [Point], values: &'a [u64]) -> impl Fn(&Point) -> f64 + 'a {
    |point| {
        let index = points.partition_point(|it| it.at_ms < point.at_ms);
        float(values.get(index).copied().unwrap_or(0))
    }
}

/// Statuses that share a colour.
struct Group {
    name: String,
    statuses: Vec<String>,
    colour: Colour,
}

impl Group {
    fn count(&self, point: &Point) -> u64 {
        let counts = self.statuses.iter().filter_map(|it| point.machines_by_status.get(it));
        counts.sum()
    }
}

/// A colour for each status; where there are too many, the rarest share one.
fn colours(points: &[Point]) -> Vec<Group> {
    let mut sums: BTreeMap<&String, u64> = BTreeMap::new();
    for (status, count) in points.iter().flat_map(|it| &it.machines_by_status) {
        *sums.entry(status).or_default() += count;
    }
    let mut statuses: Vec<_> = sums.into_iter().filter(|&(_, sum)| sum > 0).collect();
    statuses.sort_by_key(|&(status, sum)| (std::cmp::Reverse(sum), status));
    let own = if statuses.len() > usize::from(SHADES) { SHADES - 1 } else { SHADES };
    let rest: Vec<String> =
        statuses.iter().skip(usize::from(own)).map(|&(status, _)| status.clone()).collect();
    let mut groups: Vec<_> = (0..own)
        .zip(&statuses)
        .map(|(index, &(status, _))| Group {
            name: status.clone(),
            statuses: vec![status.clone()],
            colour: Colour::Shade(index),
        })
        .collect();
    if !rest.is_empty() {
        let name = format!("{} others", rest.len());
        groups.push(Group { name, statuses: rest, colour: Colour::Other });
    }
    groups
}

/// Machine-hours in use against those paid for, added up.
///
/// What is written beside it are the report's own figures: a line is drawn through samples.
fn hours(report: &Report, series: &Series, time: &Time) -> Result<Figure, PlotError> {
    let (busy, paid) = (report.busy_machine_hours, report.machine_hours);
    let line = |value: fn(&Point) -> f64| -> Vec<(f64, f64)> { time.line(&series.points, value) };
    let (busy_line, paid_line) = (line(|it| it.busy_hours), line(|it| it.paid_hours));
    let highest = series.points.last().map_or(0.0, |it| it.paid_hours.max(it.busy_hours));
    let shapes =
        [Shape::Line(Colour::Shade(2), paid_line), Shape::Line(Colour::Shade(0), busy_line)];
    let pictures = if highest > 0.0 {
        vec![draw(&time.frame("machine-hours", highest), &shapes)?]
    } else {
        Vec::new()
    };
    let key = vec![
        (Colour::Shade(2).variable(), format!("paid for: {} h", decimal(paid, 1))),
        (Colour::Shade(0).variable(), format!("in use: {} h", decimal(busy, 1))),
    ];
    let title = if paid > 0.0 {
        format!("Machine-hours, {} of what was paid for in use", percent(busy, paid))
    } else {
        "Machine-hours".to_owned()
    };
    Ok(Figure { title, key, pictures })
}

/// Alarms that rang, and how late the latest were; two pictures above one another.
fn alarms(report: &Report, series: &Series, time: &Time) -> Result<Figure, PlotError> {
    let span_ms = time.to_ms - time.from_ms;
    let mut every_ms = series.alarms_every_ms.max(1);
    while span_ms / every_ms > BARS_MAX {
        every_ms = coarser(every_ms);
    }
    let bars = regroup(&series.alarms, every_ms);
    let column = |from_ms: i64, height: f64, colour: Colour| {
        let left = time.x(from_ms.max(time.from_ms));
        let right = time.x(from_ms.saturating_add(every_ms).min(time.to_ms)).max(left);
        // A gap of a tenth keeps neighbours apart.
        let right = right - (right - left) / 10.0;
        Shape::Area(colour, vec![(left, 0.0), (left, height), (right, height), (right, 0.0)])
    };
    let most = bars.iter().map(|it| it.count).max().unwrap_or(0);
    let latest_ms = bars.iter().map(|it| it.lateness_ms_max).max().unwrap_or(0);
    let (unit, unit_ms) = lateness_unit(latest_ms);
    let counts: Vec<_> =
        bars.iter().map(|it| column(it.from_ms, float(it.count), Colour::Shade(0))).collect();
    let late: Vec<_> = bars
        .iter()
        .map(|it| column(it.from_ms, float(it.lateness_ms_max) / unit_ms, Colour::Shade(7)))
        .collect();
    let key = vec![
        (Colour::Shade(0).variable(), format!("alarms in {}", every(every_ms))),
        (Colour::Shade(7).variable(), format!("the latest of them, {}", duration_ms(latest_ms))),
    ];
    let pictures = if most == 0 {
        Vec::new()
    } else {
        let frame = time.frame("alarms", float(most));
        let upper = Frame { is_whole: true, x_name: None, height: 200, ..frame };
        let frame = time.frame(&format!("late, {unit}"), float(latest_ms) / unit_ms);
        vec![draw(&upper, &counts)?, draw(&Frame { height: 200, ..frame }, &late)?]
    };
    let title = format!("Alarms, {} rung", grouped(report.alarms_rung));
    Ok(Figure { title, key, pictures })
}

/// The unit in which the latest alarm is still a number of few digits.
fn lateness_unit(latest_ms: u64) -> (&'static str, f64) {
    match latest_ms {
        0..5_000 => ("ms", 1.0),
        5_000..300_000 => ("s", 1_000.0),
        300_000..18_000_000 => ("min", 60_000.0),
        18_000_000.. => ("h", 3_600_000.0),
    }
}

/// A length of time as the width of a bar.
fn every(every_ms: i64) -> String {
    duration_ms(u64::try_from(every_ms).unwrap_or(0))
}

/// What everything has cost, over time.
fn cost(report: &Report, series: &Series, time: &Time) -> Result<Figure, PlotError> {
    let line = time.line(&series.points, |it| it.cost);
    let most = series.points.iter().map(|it| it.cost).fold(0.0, f64::max);
    let currency = &report.cost.currency;
    let pictures = if most > 0.0 {
        let y_name = if currency.is_empty() { "cost" } else { currency };
        vec![draw(&time.frame(y_name, most), &[Shape::Line(Colour::Shade(0), line)])?]
    } else {
        Vec::new()
    };
    let title = format!("Cost, {} {currency} in the end", decimal(report.cost.amount, 2));
    Ok(Figure { title: title.replace("  ", " "), key: Vec::new(), pictures })
}
