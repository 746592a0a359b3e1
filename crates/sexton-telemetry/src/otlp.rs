//! Metrics and traces to a collector of OpenTelemetry: OTLP over HTTP, as protobuf.
//!
//! ```text
//! spans of target `sexton` --> layer --> sampled, batched on a thread of the SDK --> {endpoint}/v1/traces
//! Metrics::read --> Push::push, in a task of the program's ----------------------> {endpoint}/v1/metrics
//! ```
//!
//! Metrics are sent as they were counted, from the beginning (cumulative), under the names that
//! Prometheus has for them: one dashboard is right for both ways.

mod message;

use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use prost::Message as _;
use reqwest::header::CONTENT_TYPE;
use sexton::clock::{Clock, WallClock};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;

use crate::metrics::Metrics;

/// Where a collector listens, unless somebody says otherwise: as OTLP has it.
pub const ENDPOINT: &str = "http://localhost:4318";
/// How long a collector may take for an answer. Chosen: as OpenTelemetry has it.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Where to send it, and as whom.
#[derive(Clone, Debug)]
pub struct Otlp {
    endpoint: String,
    service: String,
    headers: Vec<(String, String)>,
    /// The part of all turns, flushes and effects that become traces.
    sampled: f64,
}

/// Why nothing was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OtlpError {
    /// What was said cannot be used: an endpoint that is no address, say.
    #[error("cannot send traces to {endpoint}")]
    Exporter {
        /// Where to.
        endpoint: String,
        /// Why not.
        source: opentelemetry_otlp::ExporterBuildError,
    },
    /// The collector was not reached, or did not answer.
    #[error("cannot send metrics to {url}")]
    Unreached {
        /// Where to.
        url: String,
        /// Why not.
        source: reqwest::Error,
    },
    /// The collector said no.
    #[error("{url} answered {status}")]
    Refused {
        /// Who.
        url: String,
        /// What.
        status: u16,
    },
    /// The last spans could not be sent.
    #[error("the last spans were not sent")]
    Unsent(#[from] opentelemetry_sdk::error::OTelSdkError),
}

impl Otlp {
    /// To a collector, as a service of this name: the address without `/v1/..`.
    pub fn new(endpoint: impl Into<String>, service: impl Into<String>) -> Self {
        let endpoint = endpoint.into();
        Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            service: service.into(),
            headers: Vec::new(),
            sampled: 1.0,
        }
    }

    /// With a header, as one that says who sends.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// With a part of the traces only, from 0 to 1; all, unless another part is given.
    ///
    /// A host makes tens of thousands of turns a second where it is busy, and each is a span.
    pub fn sampled(self, part: f64) -> Self {
        Self { sampled: part, ..self }
    }

    /// A layer that makes traces of a host's spans, and what to close at the end.
    ///
    /// Without it nobody asks for the spans of turns, and they cost nothing.
    ///
    /// # Errors
    ///
    /// [`OtlpError::Exporter`].
    ///
    /// # Example
    ///
    /// ```
    /// use sexton_telemetry::otlp::Otlp;
    /// use tracing_subscriber::layer::SubscriberExt as _;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let otlp = Otlp::new("http://localhost:4318", "control-plane").sampled(0.01);
    /// let (layer, traces) = otlp.traces()?;
    /// let subscriber = tracing_subscriber::registry().with(layer);
    /// tracing::subscriber::with_default(subscriber, || { /* the program */ });
    /// // Nothing was traced, so there is nothing to send.
    /// traces.close()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn traces<S>(&self) -> Result<(impl Layer<S> + use<S>, Traces), OtlpError>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/traces", self.endpoint))
            .with_headers(self.headers.iter().cloned().collect())
            .with_timeout(ANSWER_MAX)
            .build()
            .map_err(|source| OtlpError::Exporter { endpoint: self.endpoint.clone(), source })?;
        let resource = Resource::builder().with_service_name(self.service.clone()).build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(Sampler::TraceIdRatioBased(self.sampled))
            .with_resource(resource)
            .build();
        let layer = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("sexton"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(Targets::new().with_target("sexton", Level::DEBUG));
        Ok((layer, Traces { provider }))
    }

    /// What sends metrics.
    ///
    /// # Errors
    ///
    /// [`OtlpError::Unreached`] if there can be no client.
    pub fn push(&self) -> Result<Push, OtlpError> {
        let url = format!("{}/v1/metrics", self.endpoint);
        let client = reqwest::Client::builder().timeout(ANSWER_MAX).build();
        let client = client.map_err(|source| OtlpError::Unreached { url: url.clone(), source })?;
        Ok(Push { otlp: self.clone(), url, client })
    }
}

/// What sends traces in the background.
#[derive(Debug)]
#[must_use = "what is not closed may not have sent its last spans"]
pub struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Sends what is left, and ends. Blocks for some seconds at most: after the host was closed, at the
    /// end of the program.
    ///
    /// # Errors
    ///
    /// [`OtlpError::Unsent`].
    pub fn close(self) -> Result<(), OtlpError> {
        Ok(self.provider.shutdown()?)
    }
}

/// Sends metrics.
#[derive(Clone, Debug)]
pub struct Push {
    otlp: Otlp,
    url: String,
    client: reqwest::Client,
}

impl Push {
    /// Reads a host and sends what it says, once.
    ///
    /// # Errors
    ///
    /// [`OtlpError::Unreached`] and [`OtlpError::Refused`]. Counters are sent from the beginning each
    /// time, so nothing is lost but a point.
    ///
    /// # Cancel safety
    ///
    /// It may have been sent or not.
    pub async fn push(&self, metrics: &Metrics) -> Result<(), OtlpError> {
        let times = (metrics.began_at(), WallClock.now());
        let message = message::of(&self.otlp.service, metrics.read().await, times);
        let mut request =
            self.client.post(&self.url).header(CONTENT_TYPE, "application/x-protobuf");
        for (name, value) in &self.otlp.headers {
            request = request.header(name, value);
        }
        let sent = request.body(message.encode_to_vec()).send().await;
        let unreached = |source| OtlpError::Unreached { url: self.url.clone(), source };
        let status = sent.map_err(unreached)?.status();
        if status.is_success() {
            return Ok(());
        }
        Err(OtlpError::Refused { url: self.url.clone(), status: status.as_u16() })
    }

    /// Sends every so often, until the host is closed: for a task of the program's.
    ///
    /// The last that it sends says that the host is closed. A collector that is away is said once in
    /// the log, and once that it is back.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn keep_pushing(&self, metrics: &Metrics, every: Duration) {
        // Nothing is decided by it, so it need not be an alarm.
        let mut moments = interval(every.max(Duration::from_millis(1)));
        moments.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut is_open, mut is_away) = (true, false);
        while is_open {
            moments.tick().await;
            is_open = metrics.is_open().await;
            match self.push(metrics).await {
                Ok(()) if is_away => {
                    tracing::info!(target: "sexton", url = self.url, "metrics are sent again");
                    is_away = false;
                }
                Err(error) if !is_away => {
                    tracing::warn!(target: "sexton", %error, "metrics are not sent");
                    is_away = true;
                }
                Ok(()) | Err(_) => {}
            }
        }
    }
}
