//! Traces for a collector that speaks OTLP: a span for each request, with the stages of its way below it.

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Span, SpanKind, Status, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

use super::traced::Traced;
use super::{Lap, Stages};

/// What the OTLP specification adds to the address of a collector.
const PATH: &str = "/v1/traces";
/// By which name operators know this program, unless they give another.
const NAME: &str = "rekollect";
const NAME_VARIABLE: &str = "OTEL_SERVICE_NAME";

/// Sends spans on a thread of its own, some at a time; what a collector does not take in time is dropped, and requests never wait.
pub struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Traces {
    /// To the collector with this address, such as `http://127.0.0.1:4318`. Headers, timeout and sampler come from the variables of the
    /// OpenTelemetry specification.
    pub fn to(collector: &str) -> Result<Self, ExporterBuildError> {
        let exporter = SpanExporter::builder().with_http().with_endpoint(format!("{collector}{PATH}")).build()?;
        let resource = Resource::builder();
        let resource =
            if std::env::var_os(NAME_VARIABLE).is_some() { resource } else { resource.with_service_name(NAME) };
        let resource = resource.with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))).build();
        let provider = SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build();
        let tracer = provider.tracer(NAME);
        Ok(Self { provider, tracer })
    }

    /// Hands a request over. It names no key, collection or face.
    pub fn record(&self, request: Traced<'_>, stages: &Stages) {
        let parent = TraceContextPropagator::new().extract(&request.context);
        let attributes = [
            KeyValue::new("rpc.system", "aws-api"),
            KeyValue::new("rpc.service", "Rekognition"),
            KeyValue::new("rpc.method", request.operation),
            KeyValue::new("aws.request_id", request.request_id.to_owned()),
            KeyValue::new("http.response.status_code", i64::from(request.status)),
        ];
        let span = self.tracer.span_builder(request.operation).with_kind(SpanKind::Server).with_attributes(attributes);
        let mut whole = span.with_start_time(request.came).start_with_context(&self.tracer, &parent);
        if let Some(code) = request.code {
            whole.set_attribute(KeyValue::new("error.type", code));
            // A client's mistake is no fault of this server.
            if request.status >= 500 {
                whole.set_status(Status::error(code));
            }
        }
        let within = Context::new().with_remote_span_context(whole.span_context().clone());
        for Lap { stage, began, ended } in stages.laps() {
            let span = self.tracer.span_builder(stage.name()).with_start_time(began);
            span.start_with_context(&self.tracer, &within).end_with_timestamp(ended);
        }
        whole.end_with_timestamp(request.answered);
    }

    /// Sends what is left. Blocks for as long as the collector's timeout.
    pub fn shutdown(&self) {
        if let Err(error) = self.provider.shutdown() {
            tracing::warn!(%error, "the last traces did not reach their collector");
        }
    }
}
