//! What object stores were asked for.

use cryptstream_engine::SandboxLevel;
use cryptstream_remote::{RequestKind, Traffic, TransportStats};
use serde_json::{Map, Value, json};

use crate::{messages, objects};

/// Adds it to the report of a run, if there was any store.
pub(crate) fn insert(object: &mut Value) {
    let Some(TransportStats { sandbox, traffic: sum, parts, deaths }) = objects::stats() else {
        return;
    };
    let mut store = traffic(&sum);
    store["parts"] = json!(parts.0);
    store["transports_died"] = json!(deaths);
    store["sandbox"] = json!(sandbox.unwrap_or(SandboxLevel::None).name());
    object["store"] = store;
}

/// Requests and bytes for programs.
pub(crate) fn traffic(traffic: &Traffic) -> Value {
    let requests: Map<_, _> = RequestKind::ALL
        .iter()
        .map(|kind| (kind.name().to_owned(), json!(traffic.requests(*kind))))
        .collect();
    json!({
        "requests": requests,
        "retries": traffic.retries,
        "bytes_sent": traffic.bytes_sent,
        "bytes_received": traffic.bytes_received,
    })
}

/// Tells people at the end of a verbose run.
pub(crate) fn note() {
    if let Some(stats) = objects::stats() {
        messages::note(&messages::objects::traffic_note(&stats));
    }
}
