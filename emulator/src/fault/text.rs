//! What a user reads of a fault: one line that says what happened, then who, where and in which state, line by line.

use std::fmt::{self, Display, Formatter};

use super::{
    BarrierState, DeadlockReport, Fault, Location, MemoryFault, MemoryFaultKind, PollReport, Space, Wait, WaitKind,
};

/// Beyond this distance an address has nothing to do with the nearest array.
const FAR: i64 = 1 << 20;
/// Waits in a deadlock report before the rest is only counted.
const SHOWN: usize = 40;

impl Display for Fault {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deadlock(report) => write!(f, "{report}"),
            Self::Memory(fault) => write!(f, "{fault}"),
            Self::Race(report) => write!(f, "{report}"),
            Self::Misuse(report) => write!(f, "{report}"),
            Self::Trap(location, text) => {
                write!(f, "fault in \"{}\": {text}\n  {}", location.entry, Place(location))
            }
            Self::BadLaunch(text) => f.write_str(text),
            Self::Stopped => f.write_str("stopped from outside"),
        }
    }
}

/// `(x, y, z)`.
pub(super) struct Index(pub(super) [u32; 3]);

impl Display for Index {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "({}, {}, {})", self.0[0], self.0[1], self.0[2])
    }
}

/// `role loader (warp 3), lane 5, thread block (1, 0, 0), line 17: ld.global.f32 %f1, [%rd1] (kernel.rs:12)`.
pub(super) struct Place<'a>(pub(super) &'a Location);

impl Display for Place<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let at = self.0;
        write!(f, "{}", who(at.role.as_deref(), at.warp, at.warp))?;
        if let Some(lane) = at.lane {
            write!(f, ", lane {lane}")?;
        }
        write!(f, ", thread block {}, {}", Index(at.cta), Line(at))
    }
}

/// `line 17: ld.global.f32 %f1, [%rd1] (kernel.rs:12)`.
struct Line<'a>(&'a Location);

impl Display for Line<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.0.line, self.0.instruction)?;
        match &self.0.source {
            Some(source) => write!(f, " ({source})"),
            None => Ok(()),
        }
    }
}

fn who(role: Option<&str>, first: u32, last: u32) -> String {
    let warps = if first == last {
        format!("warp {first}")
    } else {
        format!("warps {first} to {last}")
    };
    match role {
        Some(role) => format!("role {role} ({warps})"),
        None => warps,
    }
}

impl Display for MemoryFault {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let access = if self.write { "write" } else { "read" };
        let entry = &self.location.entry;
        match self.kind {
            MemoryFaultKind::OutOfBounds => write!(f, "out-of-bounds {access} in \"{entry}\": ")?,
            MemoryFaultKind::Misaligned => write!(f, "misaligned {access} in \"{entry}\": ")?,
            MemoryFaultKind::ReadOnly => write!(f, "write to read-only memory in \"{entry}\": ")?,
        }
        write!(f, "{} bytes at {}", self.size, self.target())?;
        match self.kind {
            MemoryFaultKind::OutOfBounds => {}
            MemoryFaultKind::Misaligned => write!(f, ", expected an address that is a multiple of {}", self.align)?,
            MemoryFaultKind::ReadOnly => write!(f, ", expected memory that the kernel may write")?,
        }
        write!(f, "\n  {}", Place(&self.location))
    }
}

impl MemoryFault {
    /// The place as a user knows it: an array and an offset, where one is near.
    fn target(&self) -> String {
        let address = self.address;
        let Some((name, bytes, offset)) = &self.range else {
            return format!("address 0x{address:x}, expected an array, but the launch has none");
        };
        if self.space != Space::Global {
            return format!("offset {offset} of {name}, which has {bytes} bytes");
        }
        let length = i64::try_from(*bytes).unwrap_or(i64::MAX);
        if *offset < -FAR || *offset > length.saturating_add(FAR) {
            return format!("address 0x{address:x}, which is far from every array (the nearest is \"{name}\")");
        }
        if self.kind == MemoryFaultKind::OutOfBounds {
            return format!("offset {offset} of \"{name}\", which has {bytes} bytes");
        }
        format!("offset {offset} of \"{name}\" (address 0x{address:x})")
    }
}

impl Display for DeadlockReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (entry, cta) = (&self.entry, Index(self.cta));
        if self.waits.iter().any(|w| matches!(w.on, WaitKind::Poll(_))) {
            write!(
                f,
                "livelock in \"{entry}\", thread block {cta}: every role waits or polls memory that nobody changes any more"
            )?;
            return self.list(f);
        }
        write!(
            f,
            "deadlock in \"{entry}\", thread block {cta}: every role waits and nothing is in flight"
        )?;
        self.list(f)
    }
}

impl DeadlockReport {
    fn list(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut shown = 0;
        let mut rest = self.waits.as_slice();
        while let Some(first) = rest.first() {
            let same = rest.iter().take_while(|w| alike(first, w)).count().max(1);
            if shown == SHOWN {
                write!(f, "\n  and {} more", rest.len())?;
                break;
            }
            write_wait(f, first, rest[same - 1].location.warp)?;
            rest = &rest[same..];
            shown += 1;
        }
        if self.blocked_ctas > 1 {
            let others = self.blocked_ctas - 1;
            write!(
                f,
                "\n  {others} more thread block{} in the same way",
                if others == 1 { " waits" } else { "s wait" }
            )?;
        }
        Ok(())
    }
}

/// Whether two waits differ in the warp only, so that one line serves both.
fn alike(a: &Wait, b: &Wait) -> bool {
    let (x, y) = (&a.location, &b.location);
    (a.lanes, &a.on, &a.state) == (b.lanes, &b.on, &b.state) && (&x.role, x.line) == (&y.role, y.line)
}

fn write_wait(f: &mut Formatter<'_>, wait: &Wait, last_warp: u32) -> fmt::Result {
    let at = &wait.location;
    let mut subject = who(at.role.as_deref(), at.warp, last_warp);
    if wait.lanes != u32::MAX {
        // Into the parenthesis of a role, or into one of its own.
        match subject.strip_suffix(')') {
            Some(open) => subject = format!("{open}, {})", lanes(wait.lanes)),
            None => subject = format!("{subject} ({})", lanes(wait.lanes)),
        }
    }
    let one = at.warp == last_warp;
    let verb = match &wait.on {
        WaitKind::Poll(_) if one => "polls",
        WaitKind::Poll(_) => "poll",
        _ if one => "waits",
        _ => "wait",
    };
    write!(f, "\n  {subject} {verb} {}", target(wait))?;
    write!(f, "\n    {}", Line(at))?;
    if let WaitKind::Poll(poll) = &wait.on {
        write!(f, "\n    {}", writers_text(poll))?;
    }
    if let WaitKind::Registers { .. } = &wait.on {
        write!(f, "\n    {}", pool_text(&wait.on))?;
    }
    if let Some(state) = &wait.state {
        write!(f, "\n    {}", state_text(&wait.on, state))?;
    }
    Ok(())
}

fn target(wait: &Wait) -> String {
    match &wait.on {
        WaitKind::Mbarrier {
            address,
            parity: Some(parity),
        } => format!("on the mbarrier at shared+{address}, parity {parity}"),
        WaitKind::Mbarrier { address, parity: None } => format!("on the mbarrier at shared+{address}"),
        WaitKind::Barrier { id } => format!("at barrier {id}"),
        WaitKind::Cluster => "at the barrier of the cluster".into(),
        WaitKind::Warp { missing } => format!("for {} of its warp", lanes(*missing)),
        WaitKind::Registers { wanted, .. } => format!("for {wanted} registers per thread"),
        WaitKind::Warpgroup { warps, line } => {
            let list: Vec<String> = (0..32)
                .filter(|w| warps >> w & 1 != 0)
                .map(|w: u32| w.to_string())
                .collect();
            let (noun, verb) = if list.len() == 1 {
                ("warp", "executes")
            } else {
                ("warps", "execute")
            };
            let list = list.join(", ");
            format!("until {noun} {list} of the same warpgroup {verb} the wgmma of line {line}")
        }
        WaitKind::Poll(poll) => {
            let place = match &poll.array {
                Some(array) => format!("\"{array}\"+{}", poll.offset),
                None => format!("shared+{}", poll.offset),
            };
            let (first, last) = poll.lines;
            let lines = if first == last {
                format!("line {first}")
            } else {
                format!("lines {first} to {last}")
            };
            format!("{place} in the loop of {lines}, where {} stays", poll.value)
        }
        WaitKind::Copies => "for copies".into(),
        WaitKind::Spin => "in a loop that polls memory".into(),
    }
}

/// `lane 3`, `lanes 0 to 15`, `lanes 1, 4, 9`.
pub(crate) fn lanes(mask: u32) -> String {
    let first = mask.trailing_zeros();
    match mask.count_ones() {
        0 => "no lane".into(),
        1 => format!("lane {first}"),
        count if (u64::from(mask) >> first) == (1 << count) - 1 => format!("lanes {first} to {}", first + count - 1),
        _ => {
            let list = (0..32).filter(|l| mask >> l & 1 != 0).map(|l: u32| l.to_string());
            format!("lanes {}", list.collect::<Vec<_>>().join(", "))
        }
    }
}

/// Who could end a loop.
fn writers_text(poll: &PollReport) -> String {
    let memory = if poll.array.is_some() { "global" } else { "shared" };
    let list: Vec<_> = poll.writers.iter().map(ToString::to_string).collect();
    match list.as_slice() {
        [] => format!("no other instruction of the module writes {memory} memory"),
        [one] => format!("line {one} may write there"),
        [rest @ .., last] => format!("lines {} and {last} may write there", rest.join(", ")),
    }
}

/// `pool: 1024 of 64512 registers free, 1792 more wanted for a warp; warps 0 to 3 hold 224 per thread (line 14), ...`.
fn pool_text(on: &WaitKind) -> String {
    let WaitKind::Registers {
        wanted,
        held,
        free,
        total,
        holders,
    } = on
    else {
        return String::new();
    };
    let more = (wanted - held) * 32;
    let mut text = format!("pool: {free} of {total} registers free, {more} more wanted for each warp");
    for (number, run) in holders.iter().enumerate() {
        let verb = if run.warps.0 == run.warps.1 { "holds" } else { "hold" };
        let subject = who(run.role.as_deref(), run.warps.0, run.warps.1);
        let since = run
            .line
            .map_or("since the launch".into(), |line| format!("line {line}"));
        let unit = if number == 0 { " per thread" } else { "" };
        let join = if number == 0 { "; " } else { ", " };
        text.push_str(&format!("{join}{subject} {verb} {}{unit} ({since})", run.registers));
    }
    text
}

fn state_text(on: &WaitKind, state: &BarrierState) -> String {
    let mut text = String::new();
    let unit = match on {
        WaitKind::Mbarrier { .. } => "arrivals",
        _ => "threads",
    };
    let (pending, expected, phase) = (state.pending, state.expected, state.phase);
    text.push_str(&format!("phase {phase}: {pending} of {expected} {unit} missing"));
    match state.tx_bytes {
        0 => {}
        bytes if bytes > 0 => text.push_str(&format!(", {bytes} bytes expected but never copied")),
        bytes => text.push_str(&format!(", {} bytes copied but never expected", -bytes)),
    }
    if let Some(copy) = &state.last_copy {
        text.push_str(&format!(" (the last copy: {copy})"));
    }
    if !state.missing.is_empty() {
        text.push_str(&format!(" ({})", state.missing.join(", ")));
    }
    let last = state.last_arrival.as_deref().unwrap_or("none");
    text.push_str(&format!("; last arrival: {last}"));
    text
}
