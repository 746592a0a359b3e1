//! What is printed at the start: where it is, and what to type next.

use std::net::SocketAddr;
use std::path::Path;

use crate::directory::Directory;

/// What precedes what can be pasted.
const INDENT: &str = "    ";

/// What to type, each with what it is for. Works as it stands, all of it in one shell.
fn steps(address: SocketAddr, operator: &Path) -> Vec<(&'static str, Vec<String>)> {
    let operator = operator.display();
    let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    vec![
        (
            "an owner, and her token",
            vec![
                format!("AT=http://{address}"),
                format!("OPERATOR=\"Authorization: Bearer $(cat '{operator}')\""),
                "TOKEN=$(curl -s $AT/owners -H \"$OPERATOR\" -d '{\"name\": \"alice\"}' | \
             sed -n 's/.*\"token\": \"\\(.*\\)\".*/\\1/p')"
                    .to_owned(),
                "ALICE=\"Authorization: Bearer $TOKEN\"".to_owned(),
            ],
        ),
        (
            "a machine, and a workspace on it",
            lines(&[
                "curl -s -X PUT $AT/nodes/n-1 -H \"$ALICE\" -d '{}'",
                "curl -s -X PUT $AT/workspaces/w-1 -H \"$ALICE\" -d '{\"node\": \"n-1\"}'",
            ]),
        ),
        (
            "look at it: its process, and its directory",
            lines(&[
                "until curl -s $AT/workspaces/w-1 -H \"$ALICE\" | grep '\"running\"'; do sleep 1; done",
                "curl -s $AT/workspaces/w-1 -H \"$ALICE\"",
            ]),
        ),
        (
            "a task, which finds a machine and ends as its process does",
            lines(&[
                "curl -s -X PUT $AT/tasks/t-1 -H \"$ALICE\" -d '{}'",
                "curl -s $AT/tasks -H \"$ALICE\"",
            ]),
        ),
        (
            "a town, whose container starts when there is a rig",
            lines(&[
                "curl -s -X PUT $AT/towns/berlin -H \"$ALICE\" -d '{}'",
                "curl -s -X PUT $AT/towns/berlin/rigs/r-1 -H \"$ALICE\"",
                "curl -s $AT/containers -H \"$ALICE\"",
            ]),
        ),
        ("here kill this program, with -9 if you like, and start it again: all of it is there", {
            lines(&["curl -s $AT/nodes -H \"$ALICE\"", "curl -s $AT/workspaces -H \"$ALICE\""])
        }),
        (
            "the end of it: no process, no directory, a tombstone, and an event",
            lines(&[
                "curl -s -X DELETE $AT/workspaces/w-1 -H \"$ALICE\"",
                "until curl -s $AT/workspaces/w-1 -H \"$ALICE\" | grep tombstone; do sleep 1; done",
                "curl -s \"$AT/events?event=destroyed\" -H \"$ALICE\"",
                "curl -s -X DELETE $AT/nodes/n-1 -H \"$ALICE\"",
            ]),
        ),
        (
            "what all of that came to, as Prometheus reads it",
            lines(&["curl -s $AT/metrics -H \"$OPERATOR\" | grep sexton_events"]),
        ),
    ]
}

/// All that is printed.
pub(crate) fn lines(address: SocketAddr, operator: &Path, directory: &Directory) -> String {
    let place = directory.at("");
    let mut text =
        format!("listening on http://{address}; everything lies in {}\n", place.display());
    for (what, lines) in steps(address, operator) {
        let lines: Vec<String> = lines.iter().map(|line| format!("{INDENT}{line}\n")).collect();
        text.extend(["\n# ", what, "\n", &lines.concat()]);
    }
    text + "\nctrl-c ends it in order; the machines go on, and the next start finds them"
}
