//! Instructions that only the CPU device lacks: an error when loaded where there is no other device, and when launched
//! there where there is one.

use std::sync::Arc;

use warpbridge::backend::{cpu, Image};
use warpbridge::device;
use warpbridge::error::Kind;
use warpbridge::module::Module;

const PTX: &str = "\
.version 8.0
.target sm_90
.address_size 64
.visible .entry good() { ret; }
.visible .entry bad()
{
    unheard.of.u32 1;
    ret;
}
";
const TEXT: &str = "gap.ptx: line 7, column 5: instruction \"unheard.of.u32\" is not supported";

#[test]
fn load_fails_exactly_where_the_cpu_device_is_alone() {
    let loaded = Module::load(PTX, "gap.ptx", None, None);
    if device::all().len() > 1 {
        let entries = loaded.expect("a GPU may know it").describe()["entries"].clone();
        assert!(entries[0]["unsupported_on_cpu"].is_null());
        assert_eq!(entries[1]["unsupported_on_cpu"], TEXT["gap.ptx: ".len()..]);
        return;
    }
    let error = loaded.err().expect("nobody knows it");
    assert_eq!((error.kind, error.message.as_str()), (Kind::Load, TEXT));
    assert_eq!((&error.fields["line"], &error.fields["column"]), (&7.into(), &5.into()));
}

#[test]
fn cpu_device_refuses_the_entry_and_runs_the_others() {
    let image = Image {
        text: PTX.into(),
        module: emulator::Module::parse(PTX).expect("no mistake"),
        origin: "gap.ptx".into(),
    };
    let loaded = cpu::device()
        .load(&Arc::new(image))
        .expect("structure is all that it needs");
    assert!(loaded.function("good", 0).is_ok());
    let error = loaded.function("bad", 0).err().expect("it cannot run");
    assert_eq!(error.kind, Kind::Load);
    assert_eq!(
        error.message,
        format!("bad: the CPU device cannot run it: {TEXT}; pass arrays of a GPU, or avoid that instruction")
    );
    assert_eq!(error.fields["kernel"], "bad");
}
