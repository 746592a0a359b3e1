//! Lists of a few rows for what becomes of workspaces that are opened again, and for the time at
//! work that the report explains.
//!
//! Method: that of `stories`.

mod stories;

use serde_json::Value;

use self::stories::{Story, reopened};

#[test]
fn a_workspace_that_is_opened_again_soon_is_the_same_one() {
    let story = Story::new(&[
        "0,node,n1,ada,request,",
        "0,node,n1,ada,ready,",
        "1000,workspace,w,n1,create,",
        "2000,workspace,w,n1,ready,",
        "60000,workspace,w,n1,failed,disk",
        "120000,workspace,w,n1,reopened,",
        "125000,workspace,w,n1,ready,",
        "20000000,workspace,w,n1,delete,",
        "20400000,workspace,w,n1,reopened,",
        "20500000,workspace,w,n1,cancelled,",
        "21000000,node,n1,ada,delete,",
    ]);
    story.every_way(|report| {
        // The second opening comes when the deletion was due: whoever is first, one is right.
        let (woken, reborn, refused) = reopened(report);
        assert_eq!((woken + reborn, refused), (2, 0), "{report}");
        assert!(woken >= 1, "{report}");
        assert_eq!(report["created"]["workspace"], 1 + reborn);
    });
}

#[test]
fn one_that_still_stops_comes_back_as_soon_as_it_has() {
    let story = Story::new(&[
        "1000,workspace,w,ada,create,",
        "300000,workspace,w,ada,ready,",
        "600000,workspace,w,ada,delete,",
        "600001,workspace,w,ada,reopened,",
        "600002,workspace,w,ada,ready,",
        "20000000,workspace,w,ada,delete,",
    ]);
    story.every_way(|report| {
        assert_eq!(reopened(report), (1, 0, 0), "{report}");
        assert_eq!(report["created"]["workspace"], 1);
    });
}

#[test]
fn one_that_is_ended_again_while_it_still_stops_does_not_come_back() {
    let story = Story::new(&[
        "1000,workspace,w,ada,create,",
        "300000,workspace,w,ada,ready,",
        "600000,workspace,w,ada,delete,",
        "600001,workspace,w,ada,reopened,",
        "600002,workspace,w,ada,cancelled,",
    ]);
    story.every_way(|report| {
        assert_eq!(reopened(report), (0, 0, 0), "{report}");
        assert_eq!(
            (&report["tombstones"]["workspace"], &report["live_at_end"]["workspace"]),
            (&1.into(), &Value::Null)
        );
    });
}

#[test]
fn after_its_tombstone_it_is_a_new_one_under_a_new_name() {
    let story = Story::new(&[
        "0,node,n1,ada,request,",
        "0,node,n1,ada,ready,",
        "1000,workspace,w,n1,create,",
        "2000,workspace,w,n1,ready,",
        "60000,workspace,w,n1,delete,",
        "7200000,workspace,w,n1,reopened,",
        "7205000,workspace,w,n1,ready,",
        "7300000,workspace,w,n1,delete,",
        "9000000,node,n1,ada,delete,",
    ]);
    story.every_way(|report| {
        assert_eq!(reopened(report), (0, 1, 0), "{report}");
        assert_eq!(report["reopened"]["reborn_names"], serde_json::json!(["w~2"]));
    });
}

#[test]
fn one_whose_machine_is_gone_is_a_new_one_at_once() {
    let story = Story::new(&[
        "0,node,n1,ada,request,",
        "0,node,n1,ada,ready,",
        "1000,workspace,w,n1,create,",
        "2000,workspace,w,n1,ready,",
        "60000,workspace,w,n1,delete,",
        "60000,node,n1,ada,lost,gone",
        "90000,workspace,w,ada,reopened,",
        "95000,workspace,w,ada,ready,",
        "9300000,workspace,w,ada,delete,",
    ]);
    story.every_way(|report| assert_eq!(reopened(report), (0, 1, 0), "{report}"));
}

#[test]
fn a_task_in_a_workspace_is_its_session() {
    let story = Story::new(&[
        "0,node,n1,ada,request,",
        "0,node,n1,ada,ready,",
        "1000,workspace,w,n1,create,",
        "1500,task,early,w,start,",
        "2000,workspace,w,n1,ready,",
        "20000,task,t,w,start,",
        "30000,task,second,w,start,",
        "40000,task,early,w,finish,",
        "2000000,task,t,w,finish,",
        "2000000,task,second,w,failed,memory",
        "2000000,task,u,w,start,",
        "2100000,task,u,w,timeout,",
        "2200000,task,x,w,start,",
        "2300000,task,x,w,lost,gone",
        "2400000,task,y,w,start,",
        "2500000,workspace,w,n1,delete,",
        "2600000,task,y,w,finish,",
        "9000000,node,n1,ada,delete,",
    ]);
    story.every_way(|report| {
        let sessions = serde_json::json!({"finished": 1, "failed": 1, "lost": 2});
        assert_eq!(report["sessions"], sessions, "one at a time, and only where it runs");
        assert_eq!(
            (&report["tasks"]["completed"], &report["tasks"]["failed"]),
            (&3.into(), &3.into())
        );
        assert_eq!(report["busy"]["unexplained_ms"], 0, "{}", report["busy"]);
    });
}

#[test]
fn what_a_task_waited_for_its_machine_explains_its_time_at_work() {
    let story = Story::new(&[
        "1000,node,n1,ada,request,",
        "2000,task,t,n1,start,",
        "2500,task,u,n1,start,",
        "9000,task,u,n1,failed,memory",
        "30000,node,n1,ada,boot,",
        "40000,node,n1,ada,ready,",
        "100000,task,t,n1,finish,",
        "110000,task,v,n1,start,",
        "200000,task,x,n1,start,",
    ]);
    story.every_way(|report| {
        let busy = &report["busy"];
        assert_eq!(busy["trace_ms"], 98_000 + 6_500 + 90_000, "{busy}");
        assert_eq!((&busy["unexplained_ms"], &busy["open_at_end"]), (&0.into(), &2.into()));
        let causes = busy["explained"].as_array().unwrap();
        let waited_ms = causes[0]["ms"].as_u64().unwrap();
        assert!((38_000..60_000).contains(&waited_ms), "{busy}");
        assert_eq!((&causes[1]["ms"], &causes[1]["count"]), (&6_500.into(), &1.into()));
        let lost_ms: u64 = causes.iter().map(|it| it["ms"].as_u64().unwrap()).sum();
        assert_eq!(busy["metered_ms"].as_u64().unwrap() + lost_ms, 194_500);
    });
}

#[test]
fn a_trace_without_tasks_says_that_there_is_nothing_to_compare() {
    let story =
        Story::new(&["0,node,n1,ada,request,", "0,node,n1,ada,ready,", "9,node,n1,ada,delete,"]);
    assert_eq!(story.report(&["--store", "memory"])["busy"]["trace_ms"], 0);
    let text = story.replay_where(&[], &["--store", "memory"]);
    assert!(String::from_utf8_lossy(&text.stdout).contains("nothing to compare"));
}

#[test]
fn a_run_goes_on_with_the_rows_that_it_took_and_no_others() {
    let rows = [
        "0,node,n1,ada,request,",
        "0,node,n1,ada,ready,",
        "1000,workspace,w,n1,create,",
        "2000,workspace,w,n1,ready,",
        "60000,workspace,w,n1,delete,",
        "9000000,node,n1,ada,delete,",
    ];
    let story = Story::new(&rows);
    let stores = tempfile::tempdir().expect("the machine can do this");
    let [store, junk] = ["s", "j"].map(|name| stores.path().join(name).display().to_string());
    let stop = |store: &str| story.replay(&["--store", store, "--stop-after", "40"]);
    assert!(stop(&store).status.code().is_none() && stop(&junk).status.code().is_none());
    let refused = |store: &str| {
        let output = story.replay(&["--store", store, "--resume"]);
        assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let other = rows.map(|row| row.replace("w,n1,ready", "w,n1,failed"));
    story.with_rows(&other.each_ref().map(String::as_str));
    let why = refused(&store);
    assert!(why.contains("trace.csv, line ") && why.contains("these are not the rows"), "{why}");
    story.with_rows(&rows[..2]);
    let why = refused(&store);
    assert!(why.contains("the traces have 2 rows, and the run on"), "{why}");
    story.with_rows(&rows);
    std::fs::write(format!("{junk}.cloud"), "junk").expect("the machine can do this");
    let why = refused(&junk);
    assert!(why.contains("j.cloud is damaged at byte 0"), "{why}");
    story.report(&["--store", &store, "--resume"]);
}

#[test]
fn what_was_opened_again_is_one_of_four_things() {
    let story = Story::new(&[
        "0,workspace,w,ada,create,",
        "60000,workspace,w,ada,ready,",
        "120000,workspace,w,ada,delete,",
        "180000,workspace,w,ada,reopened,",
        "190000,workspace,w,ada,ready,",
        "240000,workspace,w,ada,delete,",
        "9000000,workspace,w,ada,reopened,",
        "9100000,workspace,w,ada,delete,",
    ]);
    story.every_way(|report| {
        let of = |name: &str| report["reopened"][name].as_u64().expect("a count");
        let sum = of("woken") + of("reborn") + of("refused") + of("anew");
        assert_eq!((sum, of("rows")), (2, 2), "{report}");
    });
}
