//! The emulator's reports as errors: the kind decides the exception, the fields become its attributes.

use emulator::{
    AccessKind, DeadlockReport, Fault, Location, MemoryFault, MemoryFaultKind, MisuseKind, MisuseReport, RaceKind,
    RaceReport, Wait, WaitKind,
};
use serde_json::{json, Value};

use crate::backend::{LaunchPlan, StreamHandle};
use crate::error::{Error, Kind};

/// What a panic inside the emulator is reported as.
pub const PANICKED: &str = "the CPU device failed internally; please report this with the PTX";

/// The error for a fault of a launch.
#[must_use]
pub fn error(plan: &LaunchPlan, stream: StreamHandle, fault: &Fault) -> Error {
    let text = |kind| {
        Error::new(kind, format!("{}: {fault}", plan.label))
            .with("kernel", plan.label.as_str())
            .with("arguments", plan.arguments.as_str())
            .with("stream", stream.0)
            .with("device", "cpu")
            // A fault ends its launch and nothing else.
            .with("device_usable", true)
    };
    match fault {
        Fault::Deadlock(report) => deadlock(text(Kind::Deadlock), report),
        Fault::Memory(fault) => memory(text(Kind::Memory), fault),
        Fault::Race(report) => race(text(Kind::Race), report),
        Fault::Misuse(report) => misuse(text(Kind::KernelFault), report),
        Fault::Trap(location, _) => text(Kind::KernelFault).with("location", place(location)),
        Fault::BadLaunch(what) if what == PANICKED => text(Kind::Internal),
        Fault::BadLaunch(_) => text(Kind::Launch),
        Fault::Stopped => text(Kind::Timeout),
    }
}

fn deadlock(error: Error, report: &DeadlockReport) -> Error {
    error
        .with("entry", report.entry.as_str())
        .with("cta", json!(report.cta))
        .with("blocked_ctas", report.blocked_ctas)
        .with("waits", report.waits.iter().map(wait).collect::<Vec<_>>())
}

fn wait(wait: &Wait) -> Value {
    let (on, more) = match &wait.on {
        WaitKind::Mbarrier { address, parity } => ("mbarrier".into(), json!({"address": address, "parity": parity})),
        WaitKind::Barrier { id } => ("barrier".into(), json!({"id": id})),
        WaitKind::Warpgroup { warps, line } => (
            "warpgroup".into(),
            json!({"missing_warps": warps, "product_line": line}),
        ),
        WaitKind::Warp { missing } => ("warp".into(), json!({"missing": missing})),
        WaitKind::Poll(poll) => (
            "poll".into(),
            json!({
                "array": poll.array,
                "offset": poll.offset,
                "value": poll.value,
                "lines": [poll.lines.0, poll.lines.1],
                "writers": poll.writers,
            }),
        ),
        WaitKind::Registers {
            wanted,
            held,
            free,
            total,
            ..
        } => (
            "registers".into(),
            json!({"wanted": wanted, "held": held, "free": free, "total": total}),
        ),
        // The kinds without numbers go by their names.
        other => (format!("{other:?}").to_lowercase(), json!({})),
    };
    let state = wait.state.as_ref().map(|s| {
        json!({
            "phase": s.phase,
            "pending": s.pending,
            "expected": s.expected,
            "tx_bytes": s.tx_bytes,
            "last_copy": s.last_copy,
            "last_arrival": s.last_arrival,
        })
    });
    let mut value = place(&wait.location);
    value["on"] = json!(on);
    value["lanes"] = json!(wait.lanes);
    value["state"] = json!(state);
    if let (Some(fields), Value::Object(more)) = (value.as_object_mut(), more) {
        fields.extend(more);
    }
    value
}

fn memory(error: Error, fault: &MemoryFault) -> Error {
    let what = match fault.kind {
        MemoryFaultKind::OutOfBounds => "out of bounds",
        MemoryFaultKind::Misaligned => "misaligned",
        MemoryFaultKind::ReadOnly => "read-only",
    };
    let (array, array_bytes, offset) = match &fault.range {
        Some((name, bytes, offset)) => (json!(name), json!(bytes), json!(offset)),
        None => (Value::Null, Value::Null, Value::Null),
    };
    error
        .with("what", what)
        .with("space", format!("{:?}", fault.space).to_lowercase())
        .with("write", fault.write)
        .with("address", fault.address)
        .with("size", fault.size)
        .with("array", array)
        .with("array_bytes", array_bytes)
        .with("offset", offset)
        .with("location", place(&fault.location))
}

fn race(error: Error, report: &RaceReport) -> Error {
    let what = match report.kind {
        RaceKind::Unordered => "unordered",
        RaceKind::CopyInFlight => "copy in flight",
        RaceKind::ProductInFlight => "wgmma in flight",
        RaceKind::ProxyFence => "proxy fence",
    };
    let accesses: Vec<_> = [&report.earlier, &report.later]
        .into_iter()
        .map(|side| {
            let mut value = place(&side.location);
            value["access"] = json!(access(side.kind));
            value
        })
        .collect();
    error
        .with("what", what)
        .with("entry", report.entry.as_str())
        .with("cta", json!(report.cta))
        .with("space", if report.array.is_some() { "global" } else { "shared" })
        .with("array", json!(report.array))
        .with("offset", report.offset)
        .with("accesses", accesses)
        .with("location", place(&report.later.location))
}

fn access(kind: AccessKind) -> &'static str {
    match kind {
        AccessKind::Read => "read",
        AccessKind::Write => "write",
        AccessKind::StrongRead => "strong read",
        AccessKind::StrongWrite => "strong write",
        AccessKind::AsyncRead => "asynchronous read",
        AccessKind::AsyncWrite => "asynchronous write",
        AccessKind::CopyFrom => "copy from",
        AccessKind::CopyInto => "copy into",
        AccessKind::Product => "wgmma",
        AccessKind::Mbarrier => "mbarrier",
        AccessKind::MbarrierInit => "mbarrier init",
    }
}

fn misuse(error: Error, report: &MisuseReport) -> Error {
    let what = match report.kind {
        MisuseKind::Uninitialised => "uninitialised",
        MisuseKind::UndefinedRegister => "undefined register",
        MisuseKind::IgnoredWait => "ignored wait",
        MisuseKind::DoubleInit => "double init",
        MisuseKind::OverMbarrier => "over mbarrier",
        MisuseKind::DivergedBarrier => "diverged barrier",
        MisuseKind::ExitInFlight => "exit in flight",
        MisuseKind::ExitBeforePeer => "exit before peer",
        MisuseKind::Warpgroup => "warpgroup",
        MisuseKind::MemberMask => "member mask",
        MisuseKind::BarrierCount => "barrier count",
        MisuseKind::LateExpect => "late expect",
        MisuseKind::DeadFrame => "dead frame",
        MisuseKind::ProductRegisters => "wgmma registers",
        MisuseKind::ProductFence => "wgmma fence",
    };
    let other = report.other.as_ref().map(|(_, location)| place(location));
    error
        .with("what", what)
        .with("location", place(&report.location))
        .with("other", json!(other))
}

fn place(location: &Location) -> Value {
    json!({
        "entry": location.entry,
        "cta": location.cta,
        "warp": location.warp,
        "lane": location.lane,
        "role": location.role,
        "line": location.line,
        "instruction": location.instruction,
        "source": location.source,
    })
}
