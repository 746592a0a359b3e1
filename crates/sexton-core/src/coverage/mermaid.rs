//! A check as a diagram that Mermaid draws.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::report::{BIRTH, Coverage, DESTROYED};

impl Coverage {
    /// The lifecycle as a Mermaid state diagram: what was reached, and what leads where.
    ///
    /// A status that holds something has a thick border, one that is terminal a dashed one, and
    /// one that was not reached is grey. Moves that do not change the status are left out. The
    /// same check gives the same text.
    pub fn mermaid(&self) -> String {
        let mut causes: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
        for edge in self.edges.iter().filter(|edge| edge.from != edge.to) {
            let between = (edge.from.as_str(), edge.to.as_str());
            causes.entry(between).or_default().push(edge.cause.to_string());
        }
        let mut text = String::from("stateDiagram-v2\n");
        for mark in &self.statuses {
            line(&mut text, format_args!("state \"{0}\" as {0}", mark.status));
        }
        if self.edges.iter().any(|edge| edge.to == DESTROYED) {
            line(&mut text, format_args!("{DESTROYED} --> [*]"));
        }
        for ((from, to), causes) in causes {
            let from = if from == BIRTH { "[*]" } else { from };
            let causes: Vec<&str> =
                causes.iter().map(String::as_str).filter(|cause| !cause.is_empty()).collect();
            // A colon or a semicolon would end the label.
            let label = causes.join(", ").replace([':', ';'], " ");
            let colon = if label.is_empty() { "" } else { ": " };
            line(&mut text, format_args!("{from} --> {to}{colon}{label}"));
        }
        text.push_str("    classDef holds stroke-width:4px\n");
        text.push_str("    classDef terminal stroke-dasharray:6 3\n");
        text.push_str("    classDef unreached color:#999,stroke:#999\n");
        for mark in &self.statuses {
            for class in ["holds", "terminal"].into_iter().filter(|class| mark.has(class)) {
                line(&mut text, format_args!("class {} {class}", mark.status));
            }
            if mark.states == 0 {
                line(&mut text, format_args!("class {} unreached", mark.status));
            }
        }
        text
    }
}

fn line(text: &mut String, what: std::fmt::Arguments<'_>) {
    writeln!(text, "    {what}").expect("a text can be written to");
}
