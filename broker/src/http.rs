//! The HTTP listener: metrics and health.
//!
//! `/metrics` is Prometheus' text; `/health/live` answers while the process runs; `/health/ready` answers 200 once the
//! broker is registered, unfenced and has its logs open (a controller alone: while an active controller is known), and 503 with
//! the reason otherwise.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::config::BrokerConfig;
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

/// What a node tells over HTTP.
pub trait Monitored: Send + Sync + 'static {
    /// Why it does not serve, if it does not.
    fn unreadiness(&self) -> Option<String>;

    /// Its metrics, as Prometheus reads them.
    fn exposition(self: Arc<Self>) -> String;
}

/// Serves until the future is dropped.
pub async fn serve(listener: std::net::TcpListener, node: Arc<dyn Monitored>) {
    let listener = match listener.set_nonblocking(true).and_then(|()| TcpListener::from_std(listener)) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the HTTP listener cannot be served"),
    };
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/health/live", get(async || "live\n"))
        .route("/health/ready", get(ready))
        .with_state(node);
    if let Err(error) = axum::serve(listener, routes).await {
        tracing::error!(%error, "the HTTP listener stopped");
    }
}

async fn metrics(State(node): State<Arc<dyn Monitored>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, METRICS_TYPE)], node.exposition())
}

async fn ready(State(node): State<Arc<dyn Monitored>>) -> (StatusCode, String) {
    match node.unreadiness() {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}
