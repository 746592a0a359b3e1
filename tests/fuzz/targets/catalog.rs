//! Price lists, of both shapes.

use sexton_fleet::catalog::{ANYWHERE, Catalog, CatalogError, describe};

use crate::input::says_why;

/// Reads the bytes as either list.
pub fn catalog(bytes: &[u8]) -> bool {
    let Some((which, text)) = bytes.split_first() else { return false };
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let read = |file: &str| match which % 2 {
        0 => Catalog::from_hetzner(file, text),
        _ => Catalog::from_instance_csv(file, text, ANYWHERE),
    };
    match read("prices") {
        Ok(catalog) => {
            assert_eq!(
                read("others").ok().as_ref(),
                Some(&catalog),
                "it depends on its file's name"
            );
            for (at, it) in catalog.iter() {
                assert_eq!(catalog.get(at, &it.name), Some(it));
                assert!(catalog.find(at, &it.name).is_some());
                let told = describe("label", Some(it));
                assert!(told.starts_with(&it.name), "{told}");
            }
            catalog.iter().next().is_some()
        }
        Err(error) => {
            says_why(&error);
            assert!(error.to_string().contains("prices"), "{error} does not name its file");
            if let CatalogError::Field { place, .. } = &error {
                assert!(!place.is_empty());
            }
            false
        }
    }
}
