//! What happens in the generated list, scene by scene; every scene is in every list.

use super::{List, Thing};
use crate::trace::{TraceEvent as E, TraceKind as K};

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
/// The length of the list: three days, so that nights, hours and limits of a day all fit.
const END: u64 = 72 * HOUR;

const SIZES: &[&str] = &["cx22", "cx32", "cx42", "cpx21", "cpx31", "cax11", "cax21"];
const LOCATIONS: &[&str] = &["fsn1", "nbg1", "hel1"];
/// Parents that the list never introduces.
const OWNERS: &[&str] = &["ada", "brook", "cedar", "drift"];
const SITES: &[&str] = &["site-north", "site-south"];

/// Seconds since a life began, what happened then, and what else is said of it.
type Moment = (u64, E, &'static str);

/// Plays every scene; the order only matters for the names.
pub(super) fn play(list: &mut List) {
    alive_at_the_first_instant(list);
    for _ in 0..22 {
        machine_with_tasks(list);
    }
    machines_that_cannot_be_had(list);
    odd_machines(list);
    for _ in 0..14 {
        workspace(list);
    }
    workspaces_that_come_back(list);
    odd_workspaces(list);
    many_at_one_instant(list);
    for _ in 0..18 {
        let at_ms = list.random.between(0, END - 8 * HOUR);
        let parent = [SITES, OWNERS].concat();
        let parent = list.random.pick(&parent);
        task(list, parent, at_ms, None);
    }
    odd_tasks(list);
    // Last, so that what was in the list before there were sandboxes is in it as it was.
    sandboxes(list);
}

/// A size and a place, as a request says them.
fn size(list: &mut List) -> String {
    format!("size={};location={}", list.random.pick(SIZES), list.random.pick(LOCATIONS))
}

/// Requests a machine and makes it ready; returns it and when it was ready.
fn ready_machine(list: &mut List, at_ms: u64) -> (Thing, u64) {
    let owner = list.random.pick(OWNERS);
    let node = list.thing(K::Node, owner);
    let wanted = size(list);
    list.add(&node, at_ms, E::Request, wanted);
    let boot = at_ms + list.random.between(4 * SECOND, 40 * SECOND);
    let ready = boot + list.random.between(9 * SECOND, 75 * SECOND);
    if list.random.chance(80) {
        list.add(&node, boot, E::Boot, "");
    }
    list.add(&node, ready, E::Ready, "");
    (node, ready)
}

/// A task of any length and end; `until` is when what it runs on goes.
fn task(list: &mut List, parent: &str, at_ms: u64, until: Option<u64>) {
    let task = list.thing(K::Task, parent);
    let limit_s = [600, 1_200, 3_600, 14_400]
        [usize::from(list.random.chance(50)) + 2 * usize::from(list.random.chance(40))];
    let (user, group) = (list.random.between(1, 9), list.random.between(1, 3));
    list.add(&task, at_ms, E::Start, format!("user={user};group={group};limit_s={limit_s}"));
    let limit = at_ms + limit_s * SECOND;
    let end = at_ms + list.random.between(2 * SECOND, limit_s * SECOND * 5 / 4);
    match until {
        Some(until) if end.min(limit) >= until => list.add(&task, until, E::Finish, ""),
        _ if end > limit => list.add(&task, limit, E::Timeout, ""),
        _ if list.random.chance(14) => {
            let exit = list.random.pick(&["exit=1", "exit=2", "exit=137"]);
            list.add(&task, end, E::Failed, exit);
        }
        _ => list.add(&task, end, E::Finish, ""),
    }
}

/// A machine that works: tasks on it, perhaps an outage, then its end.
fn machine_with_tasks(list: &mut List) {
    let at_ms = list.random.between(MINUTE, END - 20 * HOUR);
    let (node, ready) = ready_machine(list, at_ms);
    let end = ready + list.random.between(40 * MINUTE, 18 * HOUR);
    for _ in 0..list.random.between(0, 3) {
        let start = list.random.between(ready, end - 30 * MINUTE);
        task(list, &node.id, start, Some(end));
    }
    if list.random.chance(30) {
        let down = list.random.between(ready + MINUTE, end - 20 * MINUTE);
        list.add(&node, down, E::Down, "");
        let up = down + list.random.between(20 * SECOND, 15 * MINUTE);
        list.add(&node, up, E::Up, "");
    }
    if list.random.chance(20) {
        let task = list.thing(K::Task, &node.id);
        list.add(&task, end - 25 * MINUTE, E::Start, "user=4;limit_s=14400");
        list.add(&task, end, E::Lost, "exit=-9");
        list.add(&node, end, E::Lost, "preempted");
    } else {
        list.add(&node, end, E::Delete, "");
    }
}

/// Things that may have existed before the list begins.
fn alive_at_the_first_instant(list: &mut List) {
    let mut last = None;
    for hours in [5, 11, 26, 49] {
        let node = list.thing(K::Node, "");
        list.add(&node, 0, E::Request, "size=cx22;location=fsn1");
        list.add(&node, 0, E::Ready, "spot");
        list.add(&node, hours * HOUR, E::Lost, "preempted");
        last = Some(node);
    }
    for owner in &OWNERS[..2] {
        let workspace = list.thing(K::Workspace, owner);
        list.add(&workspace, 0, E::Create, "");
        list.add(&workspace, 0, E::Ready, "");
        let end = list.random.between(3 * HOUR, 30 * HOUR);
        list.add(&workspace, end, E::Delete, "");
    }
    for site in SITES {
        task(list, site, 0, None);
    }
    // It runs on the longest-lived of those machines and goes with it.
    let node = last.expect("there was a machine");
    let task = list.thing(K::Task, &node.id);
    list.add(&task, 0, E::Start, "user=1");
    list.add(&task, 49 * HOUR, E::Lost, "exit=-9");
}

/// Every class of failure to make a machine, some at the very instant of the request.
fn machines_that_cannot_be_had(list: &mut List) {
    let classes = ["capacity", "capacity", "quota", "region", "invalid", "other"];
    for (index, class) in classes.into_iter().enumerate() {
        let at_ms = list.random.between(HOUR, END - HOUR);
        let owner = list.random.pick(OWNERS);
        let node = list.thing(K::Node, owner);
        // An invalid request is one for a size that nobody sells.
        let wanted = match class {
            "invalid" => "size=cx99;location=fsn1".to_owned(),
            _ => size(list),
        };
        list.add(&node, at_ms, E::Request, wanted);
        let wait = if index == 1 { 0 } else { list.random.between(SECOND, 90 * SECOND) };
        list.add(&node, at_ms + wait, E::Failed, class);
    }
}

/// Machines whose lives are unlike the others.
fn odd_machines(list: &mut List) {
    // Two that nobody was seen to delete, the first with a task that nobody saw ending.
    let (node, ready) = ready_machine(list, END - 10 * HOUR);
    let task = list.thing(K::Task, &node.id);
    list.add(&task, ready + HOUR, E::Start, "user=2");
    ready_machine(list, END - 4 * HOUR);
    // Given up before it was ready; ready and deleted in the instant of its request.
    let node = list.thing(K::Node, "cedar");
    list.add(&node, 9 * HOUR, E::Request, "size=cx42;location=hel1");
    list.add(&node, 9 * HOUR + 5 * MINUTE, E::Delete, "");
    let node = list.thing(K::Node, "");
    for (event, more) in [(E::Request, "size=cax11;location=nbg1"), (E::Ready, ""), (E::Delete, "")]
    {
        list.add(&node, 14 * HOUR, event, more);
    }
    // Down twice, and lost while it is down.
    let (node, ready) = ready_machine(list, 20 * HOUR);
    for (minutes, event) in [(10, E::Down), (12, E::Up), (90, E::Down)] {
        list.add(&node, ready + minutes * MINUTE, event, "");
    }
    list.add(&node, ready + 2 * HOUR, E::Lost, "");
}

/// A workspace of an owner: made, used, deleted; or not made, or given up.
fn workspace(list: &mut List) {
    let at_ms = list.random.between(MINUTE, END - 30 * HOUR);
    let owner = list.random.pick(OWNERS);
    let workspace = list.thing(K::Workspace, owner);
    list.add(&workspace, at_ms, E::Create, "");
    let ready = at_ms + list.random.between(8 * SECOND, 4 * MINUTE);
    match list.random.between(1, 10) {
        1 => return list.add(&workspace, ready, E::Failed, "capacity"),
        2 => return list.add(&workspace, ready, E::Cancelled, ""),
        _ => list.add(&workspace, ready, E::Ready, ""),
    }
    let end = ready + list.random.between(10 * MINUTE, 24 * HOUR);
    if list.random.chance(40) {
        task(list, &workspace.id, ready + MINUTE, Some(end));
    }
    list.add(&workspace, end, E::Delete, "");
}

/// Second and third lives.
fn workspaces_that_come_back(list: &mut List) {
    let lives: [&[(u64, E)]; 4] = [
        // Ready again, deleted again.
        &[
            (0, E::Create),
            (1, E::Ready),
            (90, E::Delete),
            (200, E::Reopened),
            (202, E::Ready),
            (500, E::Delete),
        ],
        // Never said to be ready again; three lives.
        &[
            (0, E::Create),
            (2, E::Ready),
            (30, E::Delete),
            (31, E::Reopened),
            (60, E::Delete),
            (600, E::Reopened),
            (640, E::Delete),
        ],
        // Back after a failure, and not seen to end.
        &[(0, E::Create), (3, E::Failed), (5, E::Reopened), (6, E::Ready)],
        // Cancelled, and reopened in the same instant.
        &[(0, E::Create), (4, E::Cancelled), (4, E::Reopened), (7, E::Ready), (900, E::Delete)],
    ];
    for life in lives {
        let begin = list.random.between(HOUR, END - 30 * HOUR);
        let owner = list.random.pick(OWNERS);
        let workspace = list.thing(K::Workspace, owner);
        for &(minutes, event) in life {
            let more = if event == E::Failed { "quota" } else { "" };
            list.add(&workspace, begin + minutes * MINUTE, event, more);
        }
    }
}

/// Workspaces whose lives are unlike the others.
fn odd_workspaces(list: &mut List) {
    // One of each end for sure, whatever the dice said; one life of no length; one open end.
    let lives: [(&str, &[Moment]); 4] = [
        ("ada", &[(0, E::Create, ""), (30, E::Failed, "invalid")]),
        ("brook", &[(0, E::Create, ""), (12, E::Cancelled, "")]),
        ("drift", &[(0, E::Create, ""), (0, E::Ready, ""), (0, E::Delete, "")]),
        ("", &[(0, E::Create, ""), (45, E::Ready, "")]),
    ];
    for (index, (owner, life)) in (1..).zip(lives) {
        let workspace = list.thing(K::Workspace, owner);
        for &(seconds, event, more) in life {
            list.add(&workspace, index * 16 * HOUR + seconds * SECOND, event, more);
        }
    }
    // Two on one machine; they and their tasks end with it, at one instant.
    let (node, ready) = ready_machine(list, 30 * HOUR);
    let end = ready + 7 * HOUR;
    for minutes in [2, 40] {
        let workspace = list.thing(K::Workspace, &node.id);
        list.add(&workspace, ready + minutes * MINUTE, E::Create, "");
        list.add(&workspace, ready + minutes * MINUTE + 20 * SECOND, E::Ready, "");
        let task = list.thing(K::Task, &workspace.id);
        list.add(&task, end - HOUR, E::Start, "limit_s=14400");
        list.add(&task, end, E::Finish, "");
        list.add(&workspace, end, E::Delete, "");
    }
    list.add(&node, end, E::Delete, "");
}

/// A crowd: many starts and many ends at one instant each.
fn many_at_one_instant(list: &mut List) {
    let at_ms = 33 * HOUR;
    for index in 0..16 {
        let task = list.thing(K::Task, SITES[index % SITES.len()]);
        list.add(&task, at_ms, E::Start, "user=7;group=2;limit_s=1200");
        match index {
            0..8 => list.add(&task, at_ms + 10 * MINUTE, E::Finish, ""),
            8..12 => list.add(&task, at_ms + 20 * MINUTE, E::Timeout, ""),
            12..14 => list.add(&task, at_ms + 10 * MINUTE, E::Failed, "exit=1"),
            _ => list.add(&task, at_ms, E::Finish, ""),
        }
    }
}

/// Tasks whose lives are unlike the others.
fn odd_tasks(list: &mut List) {
    // On a machine that this list does not know.
    let stranger = list.thing(K::Task, "n900");
    list.add(&stranger, 40 * HOUR, E::Start, "limit_s=600");
    list.add(&stranger, 40 * HOUR + 3 * MINUTE, E::Finish, "");
    // Of nobody, and of no length.
    let short = list.thing(K::Task, "");
    list.add(&short, 41 * HOUR, E::Start, "");
    list.add(&short, 41 * HOUR, E::Failed, "exit=127");
    // Never seen to end, with a parent that has long been deleted.
    let open = list.thing(K::Task, "n001");
    list.add(&open, 50 * HOUR, E::Start, "limit_s=3600");
    // Lost although its site goes on.
    let lost = list.thing(K::Task, SITES[0]);
    list.add(&lost, 60 * HOUR, E::Start, "user=5;limit_s=172800");
    list.add(&lost, END, E::Lost, "exit=-9");
}

/// Workspaces that say that they are sandboxes, each in one of the ways to say so.
fn sandboxes(list: &mut List) {
    let lives: [&[Moment]; 6] = [
        // Used and ended; two of it at once with the next one.
        &[(0, E::Create, "sandbox"), (20, E::Ready, ""), (5_400, E::Delete, "")],
        // Opened again soon, twice: the second time it was hardly ended.
        &[
            (600, E::Create, "as=sandbox"),
            (640, E::Ready, ""),
            (4_000, E::Delete, ""),
            (4_180, E::Reopened, ""),
            (4_200, E::Ready, ""),
            (9_000, E::Failed, "memory"),
            (9_001, E::Reopened, ""),
            (9_030, E::Ready, ""),
            (12_000, E::Delete, ""),
        ],
        // Opened again when nothing of it was left.
        &[
            (0, E::Create, "sandbox=1"),
            (15, E::Ready, ""),
            (1_200, E::Delete, ""),
            (12_000, E::Reopened, ""),
            (12_010, E::Ready, ""),
            (15_000, E::Cancelled, ""),
        ],
        // Given up before it was ready; ready and over in one instant.
        &[(0, E::Create, "sandbox"), (45, E::Cancelled, "")],
        &[(0, E::Create, "sandbox"), (0, E::Ready, ""), (0, E::Delete, "")],
        // Not seen to end, for longer than a day.
        &[(0, E::Create, "sandbox"), (30, E::Ready, "")],
    ];
    for (index, life) in (1_u64..).zip(lives) {
        let begin = index.div_ceil(2) * 10 * HOUR + list.random.between(0, HOUR);
        let owner = list.random.pick(OWNERS);
        let workspace = list.thing(K::Workspace, owner);
        for &(seconds, event, more) in life {
            list.add(&workspace, begin + seconds * SECOND, event, more);
        }
        if index == 1 {
            task(list, &workspace.id, begin + MINUTE, Some(begin + 5_400 * SECOND));
        }
    }
}
