//! The HTTP listener: metrics and health.
//!
//! `/metrics` is Prometheus' text; `/health/live` answers while the process runs; `/health/ready` answers 200 once the
//! broker is registered, unfenced and has its logs open, and 503 with the reason until then.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::broker::Broker;
use crate::config::BrokerConfig;
use crate::metrics::Exposition;
use crate::server::StartError;

/// Prometheus' text format, as OpenMetrics names it.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Binds the listener, if there is to be one. Where nobody asked for this address, a port in use is no reason not to start.
pub fn bind(config: &BrokerConfig) -> Result<Option<std::net::TcpListener>, StartError> {
    let Some(address) = &config.http_listener else { return Ok(None) };
    match std::net::TcpListener::bind(address.as_str()) {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if config.settings.set("http.listener").is_none() => {
            tracing::warn!(%error, address, "metrics and health are not served: the default address is taken");
            Ok(None)
        }
        Err(source) => Err(StartError::Http { address: address.clone(), source }),
    }
}

#[derive(Clone)]
struct Shown {
    broker: Arc<Broker>,
    exposition: Arc<Exposition>,
}

/// Serves until the future is dropped.
pub async fn serve(listener: std::net::TcpListener, broker: Arc<Broker>, exposition: Arc<Exposition>) {
    let listener = match listener.set_nonblocking(true).and_then(|()| TcpListener::from_std(listener)) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the HTTP listener cannot be served"),
    };
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/health/live", get(async || "live\n"))
        .route("/health/ready", get(ready))
        .with_state(Shown { broker, exposition });
    if let Err(error) = axum::serve(listener, routes).await {
        tracing::error!(%error, "the HTTP listener stopped");
    }
}

async fn metrics(State(shown): State<Shown>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, METRICS_TYPE)], shown.exposition.render())
}

async fn ready(State(shown): State<Shown>) -> (StatusCode, String) {
    match shown.broker.unreadiness() {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}
