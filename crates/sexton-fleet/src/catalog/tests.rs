//! Small lists with every kind of mistake, and the real ones where they are at hand.

use std::path::PathBuf;

use super::*;

const HETZNER: &str = r#"{"server_types": [{"name": "cx32", "cores": 4, "memory": 8.0, "disk": 80,
    "prices": [{"location": "fsn1",
        "price_hourly": {"net": "0.0105000000", "gross": "0.0124950000000000"},
        "price_monthly": {"net": "6.3000000000", "gross": "7.4970000000000000"}}]}]}"#;
const HEADER: &str = "name,vcpu,memory_mib,arch,gpu_count,gpu_name,local_nvme_gib,network_mbps,\
    max_pods,allocatable_cpu,allocatable_memory,usd_per_hour\n";

#[test]
fn one_formatter_says_what_a_size_is() {
    let hetzner = Catalog::from_hetzner("list", HETZNER).unwrap();
    let text = describe("Medium", hetzner.get("fsn1", "cx32"));
    assert_eq!(text, "cx32 · 4 vCPU, 8 GB RAM, 80 GB storage · €6.30/mo");
    let text = describe("Medium", hetzner.get("hel1", "cx32"));
    assert_eq!(text, "Medium — exact specs unavailable");
    let row = format!("{HEADER}a1.medium,1,2048,arm64,,,,500,8,940m,1392Mi,0.025500\n");
    let aws = Catalog::from_instance_csv("list", &row, "us-east-1").unwrap();
    let text = describe("Small", aws.get("us-east-1", "a1.medium"));
    assert_eq!(text, "a1.medium · 1 vCPU, 2 GB RAM · $0.0255/h");
}

#[test]
fn what_users_see_is_exactly_this() {
    let price =
        Price { currency: Currency::Eur, hour_micros: 12_000, month_micros: Some(7_490_000) };
    let cx33 = ServerType {
        name: "cx33".to_owned(),
        vcpu: 4,
        memory_mib: 8_192,
        disk_gb: Some(80),
        price: Some(price),
    };
    let expected = "cx33 \u{b7} 4 vCPU, 8 GB RAM, 80 GB storage \u{b7} \u{20ac}7.49/mo";
    assert_eq!(describe("Medium", Some(&cx33)), expected);
    assert_eq!(describe("Medium", None), "Medium \u{2014} exact specs unavailable");
    let unpriced = ServerType { price: None, disk_gb: None, ..cx33 };
    assert_eq!(describe("Medium", Some(&unpriced)), "cx33 \u{b7} 4 vCPU, 8 GB RAM");
}

#[test]
fn without_a_provider_the_only_list_counts_and_two_are_none() {
    let list = Catalog::from_hetzner("list", HETZNER).unwrap();
    let mut catalogs = Catalogs::default();
    catalogs.by_provider.insert("hetzner".to_owned(), list.clone());
    assert!(catalogs.get(None, "fsn1", "cx32").is_some());
    catalogs.by_provider.insert("other".to_owned(), list);
    assert!(catalogs.get(None, "fsn1", "cx32").is_none());
    assert!(Catalogs::default().get(None, "fsn1", "cx32").is_none());
    assert!(catalogs.get(Some("unknown"), "fsn1", "cx32").is_none());
    assert!(catalogs.get(Some("other"), "fsn1", "cx32").is_some());
}

#[test]
fn a_list_without_locations_is_found_at_every_location() {
    let row = format!("{HEADER}a1.medium,1,2048,arm64,,,,500,8,940m,1392Mi,0.025500\n");
    let file = tempfile::Builder::new().suffix(".csv").tempfile().unwrap();
    std::fs::write(file.path(), row).unwrap();
    let mut catalogs = Catalogs::default();
    catalogs.by_provider.insert("aws".to_owned(), Catalog::load(file.path()).unwrap());
    for provider in [None, Some("aws")] {
        let found = catalogs.get(provider, "eu-west-1", "a1.medium");
        assert_eq!(describe("Small", found), "a1.medium · 1 vCPU, 2 GB RAM · $0.0255/h");
    }
    assert!(catalogs.get(None, "eu-west-1", "a2.medium").is_none());
}

#[test]
fn mistakes_name_the_file_and_the_place() {
    let bad = HETZNER.replace("0.0105000000", "cheap");
    let error = Catalog::from_hetzner("list.json", &bad).unwrap_err().to_string();
    assert!(error.contains("list.json, server type cx32: price_hourly is `cheap`"), "{error}");
    let error = Catalog::from_hetzner("list.json", "{\n\"server_types\": 3}").unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("line 2"), "{source}");
    let row = format!("{HEADER}a,1,2048,arm64,,,,500,8,940m,1392Mi,-1\n");
    let error = Catalog::from_instance_csv("list.csv", &row, "x").unwrap_err().to_string();
    assert!(error.contains("list.csv, line 2: usd_per_hour is `-1`"), "{error}");
    let row = format!("{HEADER}a,one,2048,arm64,,,,500,8,940m,1392Mi,1\n");
    let error = Catalog::from_instance_csv("list.csv", &row, "x").unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("line: 2"), "{source}");
}

#[test]
fn amounts_are_exact_to_the_millionth() {
    let cases =
        [("0.0052000000", Some(5_200)), ("3.9151", Some(3_915_100)), ("7", Some(7_000_000))];
    for (text, expected) in cases {
        assert_eq!(micros(text), expected);
    }
    for text in ["", ".5", "1e3", "-1", "1.2.3", "99999999999999999999"] {
        assert_eq!(micros(text), None, "{text}");
    }
    assert_eq!((money(7_497_000, 2), money(5_200, 4)), ("7.50".to_owned(), "0.0052".to_owned()));
}

#[test]
fn the_real_lists_are_read_whole() {
    let lists = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/catalogs");
    let hetzner = lists.join("hetzner_server_types.json");
    if !hetzner.exists() {
        println!("the real lists are not at hand: nothing was read");
        return;
    }
    let hetzner = Catalog::hetzner(&hetzner).unwrap();
    let cx32 = hetzner.get("fsn1", "cx32").unwrap();
    assert_eq!((cx32.vcpu, cx32.memory_mib, cx32.disk_gb), (4, 8_192, Some(80)));
    let names: std::collections::BTreeSet<&str> =
        hetzner.iter().map(|(_, it)| it.name.as_str()).collect();
    assert_eq!(names.len(), 24);
    let aws = lists.join("aws_us-east-1_catalog.csv");
    let aws = Catalog::instance_csv(&aws, "us-east-1").unwrap();
    assert_eq!(aws.iter().count(), 1_363);
    assert_eq!(aws.get("us-east-1", "a1.medium").unwrap().price.unwrap().hour_micros, 25_500);
    assert_eq!(aws.get("us-east-1", "dl2q.24xlarge").unwrap().price, None);
}

#[test]
fn a_list_may_say_more_than_any_machine_has() {
    let list = HETZNER.replace("8.0", "18446744073709").replace("6.3000000000", "18446744073709.5");
    let hetzner = Catalog::from_hetzner("list", &list).unwrap();
    let text = describe("Large", hetzner.get("fsn1", "cx32"));
    assert!(
        text.contains("18446744073709 GB RAM") && text.contains("18446744073709.50/mo"),
        "{text}"
    );
    let row = format!("{HEADER}big,1,{},,,,,500,8,940m,1392Mi,18446744073709.5\n", u64::MAX);
    let csv = Catalog::from_instance_csv("list", &row, "x").unwrap();
    let text = describe("Large", csv.get("x", "big"));
    assert!(text.contains("18014398509481984 GB RAM"), "{text}");
    assert!(text.contains("18446744073709.5000/h"), "{text}");
}
