//! A traced launch, and its record as JSON.

use std::sync::Arc;
use std::time::Duration;

use emulator::{TraceCause, TraceEvent, TraceSink, TraceWhat, WaitKind};
use serde_json::{json, Value};

use crate::bound::{Bound, Mode};
use crate::error::{Error, Result};
use crate::pending::Pending;

/// A tracked launch that leaves a record.
pub struct Traced {
    bound: Arc<Bound>,
    sink: Arc<TraceSink>,
    latency: u64,
    /// To wait for, or to cancel.
    pub pending: Arc<Pending>,
}

impl Traced {
    /// Queues a bound call with a record of these thread blocks.
    pub fn submit(bound: &Arc<Bound>, mode: &Mode, ctas: &[u64], latency: u64) -> Result<Self> {
        let sink = Arc::new(TraceSink::new(ctas.to_vec(), latency));
        let pending = bound.trace(mode, Arc::clone(&sink))?;
        Ok(Self {
            bound: Arc::clone(bound),
            sink,
            latency,
            pending,
        })
    }

    /// Waits for the end and takes the record; there is one also of a launch that ended badly.
    #[must_use]
    pub fn take(&self) -> Value {
        self.pending.wait(Duration::MAX);
        let error = match self.pending.outcome() {
            Some(Err(error)) => failure(error),
            _ => Value::Null,
        };
        let (bound, trace) = (&self.bound, self.sink.take());
        let roles = bound.plan.iter().flat_map(|plan| &plan.roles);
        let cta = |cta: &emulator::TraceCta| json!({"index": cta.index, "ends": cta.ends});
        json!({
            "kernel": bound.label,
            "entry": bound.entry,
            "arguments": bound.arguments,
            "roles": roles.map(|r| json!({"name": r.name, "warps": r.warps})).collect::<Vec<_>>(),
            "latency": self.latency,
            "ctas": trace.ctas.iter().map(cta).collect::<Vec<_>>(),
            "events": trace.events.iter().map(event).collect::<Vec<_>>(),
            "dropped": trace.dropped,
            "error": error,
        })
    }
}

fn failure(error: &Error) -> Value {
    json!({"kind": error.kind as i32, "message": error.message, "fields": error.fields})
}

fn event(event: &TraceEvent) -> Value {
    let mut value = match &event.what {
        TraceWhat::Compute => json!({"what": "compute"}),
        TraceWhat::Wait { on, by } => {
            let mut value = waited(on);
            value["by"] = json!(by.map(cause));
            value
        }
        TraceWhat::Copy {
            number,
            bytes,
            instruction,
            mbarrier,
        } => {
            json!({"what": "copy", "number": number, "bytes": bytes, "instruction": instruction, "mbarrier": mbarrier})
        }
    };
    value["cta"] = json!(event.cta);
    value["warp"] = json!(event.warp);
    value["start"] = json!(event.start);
    value["end"] = json!(event.end);
    value["line"] = json!(event.line);
    value
}

fn waited(on: &WaitKind) -> Value {
    match on {
        WaitKind::Mbarrier { address, parity } => {
            json!({"what": "wait", "on": "mbarrier", "address": address, "parity": parity})
        }
        WaitKind::Barrier { id } => json!({"what": "wait", "on": "barrier", "id": id}),
        // The kinds without numbers go by their names.
        other => {
            let name = format!("{other:?}").to_lowercase();
            let word = name.split_whitespace().next().unwrap_or_default();
            json!({"what": "wait", "on": word})
        }
    }
}

fn cause(cause: TraceCause) -> Value {
    match cause {
        TraceCause::Warp { rank, warp } => json!({"rank": rank, "warp": warp}),
        TraceCause::Copy(number) => json!({"copy": number}),
    }
}
