//! What sizes are and what they cost: exact facts or none.
//!
//! Loads the shape of Hetzner's `server_types` answer (net prices in euro, by location) and an
//! instance-type CSV (dollars an hour, for one location). A price is a whole number of millionths
//! of its currency; there is no floating point in here. [`describe`] is the one formatter for
//! every surface.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use thiserror::Error;

/// Why a price list could not be read.
#[derive(Debug, Error)]
pub enum CatalogError {
    /// The file cannot be read.
    #[error("failed to read {path}")]
    Io {
        /// Which file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is not JSON of that shape; the source names line and column.
    #[error("{file} is no list of server types")]
    Json {
        /// Which file.
        file: String,
        /// Where and what.
        source: serde_json::Error,
    },
    /// It is not CSV; the source names the line.
    #[error("{file} is no list of instance types")]
    Csv {
        /// Which file.
        file: String,
        /// Where and what.
        source: csv::Error,
    },
    /// A field does not say what it should.
    #[error("{file}, {place}: {field} is `{value}`, and should be {expected}")]
    Field {
        /// Which file.
        file: String,
        /// Which line or entry.
        place: String,
        /// Which field.
        field: &'static str,
        /// What it says.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
}

/// What a price is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Currency {
    /// Euro.
    Eur,
    /// United States dollar.
    Usd,
}

impl Currency {
    /// Its sign.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Eur => "€",
            Self::Usd => "$",
        }
    }

    /// Its code of three letters.
    pub fn code(self) -> &'static str {
        match self {
            Self::Eur => "EUR",
            Self::Usd => "USD",
        }
    }
}

/// What a machine costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// In what.
    pub currency: Currency,
    /// Millionths an hour.
    pub hour_micros: u64,
    /// Millionths a month at most; `None` if the list does not say.
    pub month_micros: Option<u64>,
}

/// What a size is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerType {
    /// The provider's name.
    pub name: String,
    /// Virtual processors.
    pub vcpu: u32,
    /// Memory.
    pub memory_mib: u64,
    /// Local disk; `None` if it has none.
    pub disk_gb: Option<u64>,
    /// What it costs; `None` if the list does not say.
    pub price: Option<Price>,
}

/// The location of prices in a list that has no locations.
pub const ANYWHERE: &str = "";

/// One provider's price list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    /// By location, then size.
    types: BTreeMap<String, BTreeMap<String, ServerType>>,
}

impl Catalog {
    /// Reads the shape of Hetzner's `server_types` answer.
    ///
    /// # Errors
    ///
    /// [`CatalogError`] names the file and the place in it.
    pub fn hetzner(path: &Path) -> Result<Self, CatalogError> {
        Self::from_hetzner(&path.display().to_string(), &read(path)?)
    }

    /// Reads an instance-type CSV whose prices are those of `location`.
    ///
    /// # Errors
    ///
    /// [`CatalogError`] names the file and the line.
    pub fn instance_csv(path: &Path, location: &str) -> Result<Self, CatalogError> {
        Self::from_instance_csv(&path.display().to_string(), &read(path)?, location)
    }

    /// Reads whichever of the two formats the file's ending says: `.json` or `.csv`.
    ///
    /// A CSV has no locations: its prices are found under [`ANYWHERE`].
    ///
    /// # Errors
    ///
    /// [`CatalogError`] names the file and the place in it.
    pub fn load(path: &Path) -> Result<Self, CatalogError> {
        if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv")) {
            Self::instance_csv(path, ANYWHERE)
        } else {
            Self::hetzner(path)
        }
    }

    /// The size of that name at that location, or in a list that has no locations.
    pub fn find(&self, location: &str, size: &str) -> Option<&ServerType> {
        self.get(location, size).or_else(|| self.get(ANYWHERE, size))
    }

    /// As [`hetzner`](Self::hetzner), of a text.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn from_hetzner(file: &str, text: &str) -> Result<Self, CatalogError> {
        let list: HetznerList = serde_json::from_str(text)
            .map_err(|source| CatalogError::Json { file: file.to_owned(), source })?;
        let mut catalog = Self::default();
        for it in list.server_types {
            let at = |field, value: &str, expected| CatalogError::Field {
                file: file.to_owned(),
                place: format!("server type {}", it.name),
                field,
                value: value.to_owned(),
                expected,
            };
            let memory = it.memory.to_string();
            let memory_micros = micros(&memory).ok_or_else(|| at("memory", &memory, AMOUNT))?;
            for place in &it.prices {
                let net = |field, price: &HetznerPrice| {
                    micros(&price.net).ok_or_else(|| at(field, &price.net, AMOUNT))
                };
                let price = Price {
                    currency: Currency::Eur,
                    hour_micros: net("price_hourly", &place.price_hourly)?,
                    month_micros: Some(net("price_monthly", &place.price_monthly)?),
                };
                catalog.insert(
                    &place.location,
                    ServerType {
                        name: it.name.clone(),
                        vcpu: it.cores,
                        memory_mib: mib(memory_micros),
                        disk_gb: Some(it.disk),
                        price: Some(price),
                    },
                );
            }
        }
        Ok(catalog)
    }

    /// As [`instance_csv`](Self::instance_csv), of a text.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn from_instance_csv(file: &str, text: &str, location: &str) -> Result<Self, CatalogError> {
        let wrong = |source| CatalogError::Csv { file: file.to_owned(), source };
        let mut catalog = Self::default();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let headers = reader.headers().map_err(wrong)?.clone();
        for record in reader.records() {
            let record = record.map_err(wrong)?;
            let line = record.position().map_or(0, csv::Position::line);
            let it: Instance = record.deserialize(Some(&headers)).map_err(wrong)?;
            let whole = |field, value: &str| {
                value.parse::<u64>().map(Some).or_else(|_error| {
                    if value.is_empty() {
                        return Ok(None);
                    }
                    Err(CatalogError::Field {
                        file: file.to_owned(),
                        place: format!("line {line}"),
                        field,
                        value: value.to_owned(),
                        expected: "a whole number or nothing",
                    })
                })
            };
            let disk_gb = whole("local_nvme_gib", &it.local_nvme_gib)?;
            let price = match it.usd_per_hour.as_str() {
                "" => None,
                text => Some(micros(text).ok_or_else(|| CatalogError::Field {
                    file: file.to_owned(),
                    place: format!("line {line}"),
                    field: "usd_per_hour",
                    value: text.to_owned(),
                    expected: AMOUNT,
                })?),
            };
            let price = price.map(|hour_micros| Price {
                currency: Currency::Usd,
                hour_micros,
                month_micros: None,
            });
            let (name, vcpu, memory_mib) = (it.name, it.vcpu, it.memory_mib);
            catalog.insert(location, ServerType { name, vcpu, memory_mib, disk_gb, price });
        }
        Ok(catalog)
    }

    fn insert(&mut self, location: &str, it: ServerType) {
        self.types.entry(location.to_owned()).or_default().insert(it.name.clone(), it);
    }

    /// The size of exactly that name at exactly that location; unknown is none.
    pub fn get(&self, location: &str, size: &str) -> Option<&ServerType> {
        self.types.get(location)?.get(size)
    }

    /// Every location with its sizes, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ServerType)> {
        self.types.iter().flat_map(|(at, types)| types.values().map(move |it| (at.as_str(), it)))
    }
}

/// The price lists of several providers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogs {
    /// By provider.
    pub by_provider: BTreeMap<String, Catalog>,
}

impl Catalogs {
    /// A size of a provider; with no provider named, of the only one if there is exactly one.
    pub fn get(&self, provider: Option<&str>, location: &str, size: &str) -> Option<&ServerType> {
        let catalog = match provider {
            Some(provider) => self.by_provider.get(provider)?,
            None if self.by_provider.len() == 1 => self.by_provider.values().next()?,
            None => return None,
        };
        catalog.find(location, size)
    }
}

/// Says what a size is, for every card, list and summary; `label` is what the user chose.
///
/// # Example
///
/// ```
/// use sexton_fleet::catalog::describe;
///
/// assert_eq!(describe("Medium", None), "Medium — exact specs unavailable");
/// ```
pub fn describe(label: &str, found: Option<&ServerType>) -> String {
    let Some(it) = found else { return format!("{label} — exact specs unavailable") };
    let disk = it.disk_gb.map(|disk_gb| format!(", {disk_gb} GB storage")).unwrap_or_default();
    let price = it.price.map(|price| format!(" · {}", short(price))).unwrap_or_default();
    format!("{} · {} vCPU, {} GB RAM{disk}{price}", it.name, it.vcpu, gigabytes(it.memory_mib))
}

/// A price by the month where the list has one, else by the hour.
fn short(price: Price) -> String {
    let sign = price.currency.sign();
    match price.month_micros {
        Some(month) => format!("{sign}{}/mo", money(month, 2)),
        None => format!("{sign}{}/h", money(price.hour_micros, 4)),
    }
}

const MICROS: u64 = 1_000_000;
const AMOUNT: &str = "an amount such as 0.0052";

fn read(path: &Path) -> Result<String, CatalogError> {
    std::fs::read_to_string(path)
        .map_err(|source| CatalogError::Io { path: path.display().to_string(), source })
}

/// Reads a decimal amount as millionths, rounded half up.
fn micros(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !are_digits(whole) || !are_digits(fraction) {
        return None;
    }
    let digits: String = fraction.chars().chain("0000000".chars()).take(7).collect();
    let tenths: u64 = digits.parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(MICROS)?.checked_add((tenths + 5) / 10)
}

/// Millionths as an amount with so many decimals, rounded half up.
fn money(micros: u64, decimals: u32) -> String {
    let unit = 10_u128.pow(6 - decimals);
    let rounded = (u128::from(micros) + unit / 2) / unit;
    let scale = 10_u128.pow(decimals);
    let width = usize::try_from(decimals).unwrap_or(0);
    format!("{}.{:0width$}", rounded / scale, rounded % scale)
}

/// Mebibytes of millionths of gibibytes. In 128 bits, as all that is multiplied here: a list may
/// say anything.
fn mib(gib_micros: u64) -> u64 {
    let mib = u128::from(gib_micros) * 1_024 / u128::from(MICROS);
    u64::try_from(mib).unwrap_or(u64::MAX)
}

fn gigabytes(mib: u64) -> String {
    let tenths = (u128::from(mib) * 10 + 512) / 1_024;
    if tenths.is_multiple_of(10) {
        (tenths / 10).to_string()
    } else {
        format!("{}.{}", tenths / 10, tenths % 10)
    }
}

#[derive(Deserialize)]
struct HetznerList {
    server_types: Vec<HetznerType>,
}

#[derive(Deserialize)]
struct HetznerType {
    name: String,
    cores: u32,
    memory: serde_json::Number,
    disk: u64,
    prices: Vec<HetznerPlace>,
}

#[derive(Deserialize)]
struct HetznerPlace {
    location: String,
    price_hourly: HetznerPrice,
    price_monthly: HetznerPrice,
}

#[derive(Deserialize)]
struct HetznerPrice {
    net: String,
}

#[derive(Deserialize)]
struct Instance {
    name: String,
    vcpu: u32,
    memory_mib: u64,
    local_nvme_gib: String,
    usd_per_hour: String,
}

#[cfg(test)]
mod tests;
