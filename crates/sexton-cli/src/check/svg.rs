//! A lifecycle as a picture: statuses from birth to the end, every arrow with its causes.

use std::collections::BTreeMap;

use layout::backends::svg::SVGWriter;
use layout::core::base::Orientation;
use layout::core::color::Color;
use layout::core::geometry::Point;
use layout::core::style::{LineStyleKind, StyleAttr};
use layout::std_shapes::render::get_shape_size;
use layout::std_shapes::shapes::{Arrow, Element, LineEndKind, ShapeKind};
use layout::topo::layout::VisualGraph;
use sexton::coverage::{Coverage, Mark};

/// The size of text.
const FONT: usize = 14;
/// What is below the middle of the lowest shape. Chosen: its half, and some white.
const MARGIN: f64 = 60.0;
/// The most causes that an arrow names; the rest is counted.
const CAUSES_MAX: usize = 7;

/// The picture.
pub(super) fn svg(found: &Coverage) -> String {
    let mut graph = VisualGraph::new(Orientation::TopToBottom);
    let mut nodes = BTreeMap::new();
    let mut add = |name: &str, element: Element| {
        nodes.insert(name.to_owned(), graph.add_node(element));
    };
    add("(birth)", element(ShapeKind::new_circle("birth"), 1, "white"));
    for mark in found.statuses.iter().filter(|mark| mark.states > 0) {
        add(&mark.status, status(mark));
    }
    add("destroyed", element(ShapeKind::new_double_circle("destroyed"), 1, "lightgray"));
    let mut causes: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for edge in found.edges.iter().filter(|edge| edge.from != edge.to) {
        let between = (edge.from.as_str(), edge.to.as_str());
        causes.entry(between).or_default().push(edge.cause.to_string());
    }
    for ((from, to), causes) in causes {
        if let (Some(from), Some(to)) = (nodes.get(from), nodes.get(to)) {
            graph.add_edge(arrow(&label(&causes)), *from, *to);
        }
    }
    let mut writer = SVGWriter::new();
    graph.do_it(false, false, false, &mut writer);
    finish(&writer.finalize(), &found.kind)
}

/// The writer's picture with a title and a white ground, in one font, as high as what is in it,
/// and with its styles in order: the writer names them in the order of a hash.
fn finish(svg: &str, kind: &str) -> String {
    let mut styles: Vec<&str> = svg.lines().filter(|line| line.starts_with(".a")).collect();
    styles.sort_unstable();
    let mut styles = styles.into_iter();
    let mut lines: Vec<String> = Vec::new();
    for line in svg.lines() {
        let line = if line.starts_with(".a") { styles.next().unwrap_or(line) } else { line };
        lines.push(line.replace("Times, serif", "sans-serif"));
    }
    let title = format!("<title>The lifecycle of {kind}</title>");
    let ground = "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>";
    let svg = lines.join("\n").replacen("<defs>", &format!("{title}{ground}<defs>"), 1) + "\n";
    let Some((width, height)) = size(&svg) else { return svg };
    let used = bottom(&svg) + MARGIN;
    svg.replacen(
        &format!("height=\"{height}\" viewBox=\"0 0 {width} {height}\""),
        &format!("height=\"{used}\" viewBox=\"0 0 {width} {used}\""),
        1,
    )
}

/// Width and height as the writer wrote them.
fn size(svg: &str) -> Option<(&str, &str)> {
    let (_, rest) = svg.split_once("viewBox=\"0 0 ")?;
    let (view, _) = rest.split_once('"')?;
    view.split_once(' ')
}

/// The lowest middle of a shape or text.
fn bottom(svg: &str) -> f64 {
    let of = |name: &str| {
        let values = svg.split(name).skip(1).filter_map(|rest| rest.split_once('"'));
        values.filter_map(|(value, _)| value.parse::<f64>().ok()).fold(0.0, f64::max)
    };
    of(" cy=\"").max(of(" y=\""))
}

fn status(mark: &Mark) -> Element {
    let width = if mark.has("holds") { 3 } else { 1 };
    let fill = match (mark.has("terminal"), mark.has("billable")) {
        (true, _) => "lightgray",
        (false, true) => "lightyellow",
        (false, false) => "white",
    };
    element(ShapeKind::new_box(&mark.status), width, fill)
}

fn element(shape: ShapeKind, line_width: usize, fill: &str) -> Element {
    // Shapes of a graph that grows downwards are written from left to right.
    let across = Orientation::LeftToRight;
    let size = get_shape_size(across, &shape, FONT, false);
    let size = Point::new(size.x + 12.0, size.y + 8.0);
    let style = StyleAttr::new(Color::fast("black"), line_width, Some(Color::fast(fill)), 8, FONT);
    Element::create(shape, style, across, size)
}

fn arrow(label: &str) -> Arrow {
    let style = StyleAttr::new(Color::fast("black"), 1, None, 0, FONT);
    let (line, none, end) = (LineStyleKind::Normal, LineEndKind::None, LineEndKind::Arrow);
    Arrow::new(none, end, line, label, &style, &None, &None)
}

fn label(causes: &[String]) -> String {
    let named = causes.iter().filter(|cause| !cause.is_empty());
    let mut lines: Vec<String> = named.clone().take(CAUSES_MAX).cloned().collect();
    let rest = named.count().saturating_sub(CAUSES_MAX);
    if rest > 0 {
        lines.push(format!("and {rest} more"));
    }
    lines.join("\n")
}
