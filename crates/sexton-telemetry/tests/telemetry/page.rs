//! The page says of every metric what it is, the dashboard asks for what is there, and a host that has
//! worked exports what both say.
//!
//! Seen to fail: with a metric left out of the table, with one of another name or unit, with a query of
//! `sexton_turn_total`, with `sum by (kinds)`, with two panels of one id, and with a metric that no
//! panel asks for.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sexton_telemetry::Metrics;
use sexton_telemetry::catalog::{METRICS, Shape};

use crate::support::{soon, stage};

const PAGE: &str = include_str!("../../../../docs/observability.md");
const DASHBOARD: &str = include_str!("../../../../docs/dashboard.json");

/// What a table says of a metric: its type, its unit and its labels.
type Row = (String, String, Vec<String>);

/// The rows of the page's table of metrics, by name.
fn table() -> BTreeMap<String, Row> {
    let begin = "| metric | type | unit | labels | says | alert |";
    let lines = PAGE.lines().skip_while(|line| *line != begin).skip(2);
    lines
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<&str> = line[1..line.len() - 1].split('|').map(str::trim).collect();
            let labels = cells[3].split('`').skip(1).step_by(2).map(str::to_owned).collect();
            assert!(!cells[4].is_empty(), "nothing is said of {line}");
            (cells[0].replace('`', ""), (cells[1].to_owned(), cells[2].to_owned(), labels))
        })
        .collect()
}

/// What a host that has worked exports: by name its type, and its labels.
async fn exported() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let stage = stage().await;
    stage.work().await;
    let text = soon(Metrics::new(&stage.host).render()).await;
    let mut exported: BTreeMap<String, (String, BTreeSet<String>)> = BTreeMap::new();
    let mut shape = ("", "");
    for line in text.lines() {
        if let Some(of) = line.strip_prefix("# TYPE ") {
            shape = of.split_once(' ').expect("a name and a type");
        }
        if line.starts_with('#') {
            continue;
        }
        let (series, _) = line.rsplit_once(' ').expect("a series and its value");
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let name = match shape.1 {
            "histogram" => shape.0,
            _ => name,
        };
        let (_, seen) = exported.entry(name.to_owned()).or_insert((shape.1.to_owned(), [].into()));
        let labels = labels.trim_end_matches('}').split("\",").filter_map(|it| it.split_once('='));
        seen.extend(labels.map(|(label, _)| label.to_owned()).filter(|label| label != "le"));
    }
    exported
}

#[tokio::test]
async fn the_page_the_catalog_and_a_host_that_has_worked_have_the_same_metrics() {
    let (table, exported) = (table(), exported().await);
    let catalog: BTreeMap<String, Row> = METRICS
        .iter()
        .map(|it| {
            let labels = it.labels.iter().map(|label| (*label).to_owned()).collect();
            (it.name.to_owned(), (it.shape.name().to_owned(), it.unit.to_owned(), labels))
        })
        .collect();
    assert_eq!(catalog.len(), METRICS.len(), "two metrics have one name");
    assert_eq!(table, catalog);
    let names: Vec<&String> = exported.keys().collect();
    assert_eq!(names, table.keys().collect::<Vec<_>>());
    for (name, (shape, labels)) in &exported {
        let (wanted, _, wanted_labels) = &table[name];
        assert_eq!(shape, wanted, "{name}");
        assert_eq!(labels, &wanted_labels.iter().cloned().collect(), "{name}");
    }
}

/// Every object of the dashboard that asks Prometheus for something, with what it asks.
fn queries(panel: &Value) -> impl Iterator<Item = &str> {
    let targets = panel["targets"].as_array().into_iter().flatten();
    targets.map(|target| target["expr"].as_str().expect("a query"))
}

/// The words of a query.
fn words(query: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
    query.split(move |c| !is_part(c)).filter(|word| !word.is_empty())
}

/// The metric that a name in a query is of, whichever part of a histogram it asks for.
fn metric(name: &str) -> Option<&'static sexton_telemetry::catalog::Metric> {
    METRICS.iter().find(|it| match it.shape {
        Shape::Histogram => {
            ["_bucket", "_sum", "_count"].iter().any(|part| name == format!("{}{part}", it.name))
        }
        Shape::Counter | Shape::Gauge => name == it.name,
    })
}

/// The labels that a query groups by.
fn grouped(query: &str) -> Vec<&str> {
    let groups = query.split("by (").skip(1).filter_map(|rest| rest.split(')').next());
    groups.flat_map(|group| group.split(", ")).collect()
}

#[test]
fn the_dashboard_asks_for_every_metric_and_for_nothing_else() {
    let board: Value = serde_json::from_str(DASHBOARD).unwrap();
    let (mut asked, mut wrong) = (BTreeSet::new(), Vec::new());
    for panel in board["panels"].as_array().unwrap() {
        for query in queries(panel) {
            let of: Vec<_> = words(query).filter(|word| word.starts_with("sexton")).collect();
            let metrics: Vec<_> = of.iter().filter_map(|name| metric(name)).collect();
            if metrics.len() != of.len() || of.is_empty() {
                wrong.push(format!("there is no such metric: {query}"));
            }
            // `instance` and `job` are Prometheus' own, `le` is of every histogram.
            let own = ["instance", "job", "le"];
            let has = |label: &&str| {
                own.contains(label) || metrics.iter().all(|it| it.labels.contains(label))
            };
            wrong.extend(
                grouped(query).iter().filter(|it| !has(it)).map(|it| format!("{it}: {query}")),
            );
            let counts = metrics.iter().any(|it| it.shape != Shape::Gauge);
            if counts && !query.contains("rate(") && !query.contains("increase(") {
                wrong.push(format!("a counter as it stands says nothing: {query}"));
            }
            asked.extend(metrics.iter().map(|it| it.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(asked, METRICS.iter().map(|it| it.name).collect());
}

#[test]
fn grafana_can_import_the_dashboard() {
    let board: Value = serde_json::from_str(DASHBOARD).unwrap();
    assert!(board["schemaVersion"].as_u64().unwrap() >= 36, "Grafana 9 and later");
    assert!(board["id"].is_null(), "an id is of one Grafana");
    assert!(["title", "uid"].iter().all(|field| board[field].is_string()));
    let variables = board["templating"]["list"].as_array().unwrap();
    let source = variables.iter().find(|it| it["name"] == "datasource").unwrap();
    assert_eq!((&source["type"], &source["query"]), (&"datasource".into(), &"prometheus".into()));
    let (mut ids, mut places) = (BTreeSet::new(), BTreeSet::new());
    for panel in board["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: another has its id");
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|it| panel["gridPos"][it].as_u64().unwrap());
        assert!(x + w <= 24, "{title}: it is too wide");
        let cells = (y..y + h).flat_map(|y| (x..x + w).map(move |x| (x, y)));
        cells.for_each(|cell| assert!(places.insert(cell), "{title}: it covers another"));
        if panel["type"] == "row" {
            continue;
        }
        assert!(["timeseries", "stat"].contains(&panel["type"].as_str().unwrap()), "{title}");
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{title}: no unit");
        assert!(
            panel["description"].as_str().is_some_and(|it| it.len() > 20),
            "{title}: says nothing"
        );
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        assert!(queries(panel).count() > 0, "{title}: asks for nothing");
        for target in panel["targets"].as_array().unwrap() {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
            let used = words(target["expr"].as_str().unwrap()).filter(|it| it.starts_with('$'));
            let is_known = |name: &str| {
                name == "$__rate_interval" || variables.iter().any(|it| it["name"] == name[1..])
            };
            assert!({ used }.all(is_known), "{title}: a variable that is not there");
        }
    }
    assert!(ids.len() > 20, "only {} panels", ids.len());
}
