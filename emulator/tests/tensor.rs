//! Copies through tensor maps beside the recorded answers of tests/oracle: element strides, types that convert, multicast, a
//! map made on the device, and everything that is refused.
#![allow(missing_docs)]

mod common;
use common::{entry, parse, Args, Run, SCHEDULES};
use emulator::{Interleave, MapElement, Module, Swizzle, TensorMap, TraceSink, TraceWhat};

/// 16 rows of 16 words, aligned as arrays from an allocator of a GPU are.
#[repr(align(256))]
struct Data([u32; 256]);

fn counting() -> Box<Data> {
    Box::new(Data(std::array::from_fn(|i| i as u32)))
}

/// The data as 16 rows of 16 elements of 4 bytes, in boxes of 4 rows of 8.
fn map(data: &Data) -> TensorMap {
    TensorMap {
        rank: 2,
        element: MapElement::U32,
        address: data.0.as_ptr() as u64,
        sizes: [16, 16, 0, 0, 0],
        strides: [64, 0, 0, 0],
        box_sizes: [8, 4, 0, 0, 0],
        element_strides: [1, 1, 0, 0, 0],
        ..TensorMap::default()
    }
}

const PARAMS: &str = ".param .align 64 .b8 map[128], .param .u64 x, .param .u64 y";
const PROLOGUE: &str = "
    .reg .pred p, q; .reg .b16 m; .reg .b32 t, v, s, off; .reg .b64 in, out, tm, at;
    .shared .align 1024 .b8 tile[1024]; .shared .align 64 .b8 fresh[128]; .shared .align 8 .b64 bar;
    ld.param.u64 in, [x]; ld.param.u64 out, [y]; mov.u32 t, %tid.x; shl.b32 off, t, 2;
    mov.b64 tm, map; cvta.param.u64 tm, tm; setp.ne.u32 p, t, 0;
    @p bra READY; mbarrier.init.shared::cta.b64 [bar], 1; fence.mbarrier_init.release.cluster; READY: bar.sync 0;";
/// Thread t stores word t of the tile once the copy is there.
const EPILOGUE: &str = "
    WAIT: mbarrier.try_wait.parity.shared::cta.b64 q, [bar], 0; @!q bra WAIT;
    mov.u32 s, tile; add.u32 s, s, off; ld.shared.u32 v, [s];
    cvt.u64.u32 at, off; add.u64 at, at, out; st.global.u32 [at], v; ret;";
const LOAD: &str =
    "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [tile], [tm, {4, 2}], [bar];";

fn load(bytes: u32, copy: &str) -> String {
    let expect = format!("mbarrier.arrive.expect_tx.shared::cta.b64 _, [bar], {bytes};");
    format!("{PROLOGUE} @p bra WAIT; {expect} {copy} {EPILOGUE}")
}

fn module(body: &str) -> Module {
    parse(&entry(PARAMS, body))
}

/// Runs a body with a map of `x`, which counts, and `y`, a word per thread, under every schedule.
fn check(body: &str, change: impl Fn(&mut TensorMap, &mut Data), threads: u32, expected: &[u32]) {
    let module = module(body);
    for (schedule, seed) in SCHEDULES {
        let (mut x, mut y) = (counting(), vec![0u32; threads as usize]);
        let mut described = map(&x);
        change(&mut described, &mut x);
        let mut args = Args::default();
        args.push(described.encode());
        args.array("x", &mut x.0);
        args.array("y", &mut y);
        let mut run = Run::new(&module, "k", 1, threads).schedule(schedule, seed);
        run.settings.checks = emulator::Checks::All;
        run.go(&args).unwrap_or_else(|e| panic!("under {schedule:?}: {e}"));
        assert_eq!(y, expected, "under {schedule:?}");
    }
}

/// The report of a body that faults, less its first line's "fault in "k": " and the place.
fn fault(body: &str, change: impl Fn(&mut TensorMap)) -> String {
    let module = module(body);
    let mut x = counting();
    let mut y = [0u32; 64];
    let mut described = map(&x);
    change(&mut described);
    let mut args = Args::default();
    args.push(described.encode());
    args.array("x", &mut x.0);
    args.array("y", &mut y);
    let found = Run::new(&module, "k", 1, 32)
        .go(&args)
        .expect_err("a fault")
        .to_string();
    let first = found.lines().next().unwrap_or_default();
    first.strip_prefix("fault in \"k\": ").unwrap_or(first).to_owned()
}

#[test]
fn element_strides_leave_elements_out_of_all_but_the_innermost_dimension() {
    let stride = |map: &mut TensorMap, _: &mut Data| map.element_strides = [2, 3, 0, 0, 0];
    // Rows 2 and 5; the innermost stride is ignored.
    let expected: Vec<u32> = [2, 5]
        .iter()
        .flat_map(|row| (4..12).map(move |c| row * 16 + c))
        .collect();
    check(&load(64, LOAD), stride, 16, &expected);
}

#[test]
fn tf32_elements_are_rounded_and_subnormal_ones_flushed() {
    let bits = [
        0x3f80_1001,
        0x3f80_1000,
        0x0000_1234,
        0x8000_0001,
        0x7f80_0000,
        0x7fc0_0001,
        0x7f7f_ffff,
        1 << 31,
    ];
    let convert = |element: MapElement| {
        move |map: &mut TensorMap, data: &mut Data| {
            map.element = element;
            data.0[36..44].copy_from_slice(&bits);
        }
    };
    let rounded = [
        0x3f80_2000,
        0x3f80_0000,
        0,
        1 << 31,
        0x7f80_0000,
        0x7fc0_0001,
        0x7f80_0000,
        1 << 31,
    ];
    check(&load(128, LOAD), convert(MapElement::Tf32Ftz), 8, &rounded);
    let flushed = [bits[0], bits[1], 0, 1 << 31, bits[4], bits[5], bits[6], bits[7]];
    check(&load(128, LOAD), convert(MapElement::F32Ftz), 8, &flushed);
}

#[test]
fn a_row_that_ends_inside_16_bytes_is_filled_from_there() {
    let cut = |map: &mut TensorMap, _: &mut Data| map.sizes[0] = 10;
    let expected = [36, 37, 38, 39, 40, 41, 0, 0];
    check(&load(128, LOAD), cut, 8, &expected);
}

#[test]
fn a_box_outside_a_tensor_of_any_size_is_filled() {
    let huge = |map: &mut TensorMap, _: &mut Data| {
        (map.rank, map.nan_fill, map.element) = (3, true, MapElement::F32);
        (map.sizes[1], map.sizes[2]) = (1 << 32, 1);
        (map.strides[0], map.strides[1]) = ((1 << 40) - 16, 16);
        (map.box_sizes[2], map.element_strides[2]) = (1, 1);
    };
    let copy = LOAD.replace("2d", "3d").replace("{4, 2}", "{4, 2147483640, -1}");
    check(&load(128, &copy), huge, 8, &[0x7ff7_7ff7; 8]);
}

#[test]
fn cache_hints_and_both_spellings_of_the_target_are_accepted() {
    let hinted = "createpolicy.fractional.L2::evict_first.b64 at, 1.0;
        cp.async.bulk.tensor.2d.shared::cta.global.mbarrier::complete_tx::bytes.L2::cache_hint [tile], [tm, {4, 2}], [bar], at;
        cp.async.bulk.prefetch.tensor.2d.L2.global.L2::cache_hint [tm, {4, 2}], at; prefetch.param.tensormap [map];";
    check(&load(128, hinted), |_, _| {}, 8, &[36, 37, 38, 39, 40, 41, 42, 43]);
}

#[test]
fn a_map_made_on_the_device_from_zeros_is_used() {
    let mut made = "
        st.shared.u32 [fresh], 0; mov.u32 s, fresh; add.u32 s, s, off; st.shared.u32 [s], 0; bar.warp.sync 0xffffffff;
        @p bra MADE;"
        .to_owned();
    for field in [
        "global_address.shared::cta.b1024.b64 [fresh], in",
        "rank.shared::cta.b1024.b32 [fresh], 1",
        "box_dim.shared::cta.b1024.b32 [fresh], 0, 8",
        "box_dim.shared::cta.b1024.b32 [fresh], 1, 4",
        "global_dim.shared::cta.b1024.b32 [fresh], 0, 16",
        "global_dim.shared::cta.b1024.b32 [fresh], 1, 16",
        "global_stride.shared::cta.b1024.b64 [fresh], 0, 64",
        "element_stride.shared::cta.b1024.b32 [fresh], 0, 1",
        "element_stride.shared::cta.b1024.b32 [fresh], 1, 1",
        "elemtype.shared::cta.b1024.b32 [fresh], 2",
        "interleave_layout.shared::cta.b1024.b32 [fresh], 0",
        "swizzle_mode.shared::cta.b1024.b32 [fresh], 0",
        "fill_mode.shared::cta.b1024.b32 [fresh], 0",
    ] {
        made += &format!("tensormap.replace.tile.{field};\n");
    }
    made += "MADE: bar.warp.sync 0xffffffff; mov.u64 tm, room;
        tensormap.cp_fenceproxy.global.shared::cta.tensormap::generic.release.gpu.sync.aligned [tm], [fresh], 128;
        fence.proxy.tensormap::generic.acquire.gpu [tm], 128;";
    let body = load(128, LOAD).replace("READY: bar.sync 0;", &format!("READY: bar.sync 0; {made}"));
    let text = entry(PARAMS, &body).replace(".visible", ".global .align 128 .b8 room[128];\n.visible");
    let module = parse(&text);
    let (mut x, mut y) = (counting(), [0u32; 32]);
    let mut args = Args::default();
    args.push([0xee; 128]);
    args.array("x", &mut x.0);
    args.array("y", &mut y);
    let mut run = Run::new(&module, "k", 1, 32);
    run.settings.checks = emulator::Checks::All;
    run.go(&args).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(y[..9], [36, 37, 38, 39, 40, 41, 42, 43, 52]);
}

#[test]
fn multicast_brings_the_box_and_its_bytes_to_every_chosen_thread_block() {
    let copy = "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster \
                [tile], [tm, {4, 2}], [bar], m;";
    let body = format!(
        "{PROLOGUE} barrier.cluster.arrive; barrier.cluster.wait;
        @p bra WAIT; mov.u32 v, %cluster_ctarank; setp.ne.u32 q, v, 1; @q mbarrier.arrive.expect_tx.shared::cta.b64 _, [bar], 128;
        @!q mbarrier.arrive.shared::cta.b64 _, [bar]; mov.u16 m, 5; setp.eq.u32 q, v, 0; @q {copy}
        WAIT: mbarrier.try_wait.parity.shared::cta.b64 q, [bar], 0; @!q bra WAIT;
        mov.u32 v, %cluster_ctarank; setp.eq.u32 q, v, 1; @q bra DONE;
        mov.u32 s, tile; add.u32 s, s, off; ld.shared.u32 s, [s]; mad.lo.u32 off, v, 64, off;
        cvt.u64.u32 at, off; add.u64 at, at, out; st.global.u32 [at], s; DONE: barrier.cluster.arrive; barrier.cluster.wait; ret;"
    );
    let module = module(&body);
    for (schedule, seed) in SCHEDULES {
        let (mut x, mut y) = (counting(), [0u32; 48]);
        let mut args = Args::default();
        args.push(map(&x).encode());
        args.array("x", &mut x.0);
        args.array("y", &mut y);
        let mut run = Run::new(&module, "k", 3, 16).schedule(schedule, seed);
        run.cluster = [3, 1, 1];
        run.settings.checks = emulator::Checks::All;
        run.go(&args).unwrap_or_else(|e| panic!("under {schedule:?}: {e}"));
        let tile: Vec<u32> = [2, 3]
            .iter()
            .flat_map(|row| (4..12).map(move |c| row * 16 + c))
            .collect();
        let expected = [tile.clone(), vec![0; 16], tile].concat();
        assert_eq!(y[..], expected, "under {schedule:?}");
    }
}

#[test]
fn tensor_copies_are_flights_of_a_trace() {
    let module = module(&load(128, LOAD));
    let (mut x, mut y) = (counting(), [0u32; 32]);
    let mut args = Args::default();
    args.push(map(&x).encode());
    args.array("x", &mut x.0);
    args.array("y", &mut y);
    let sink = TraceSink::new(Vec::new(), 400);
    Run::new(&module, "k", 1, 32)
        .traced(&args, &sink)
        .unwrap_or_else(|e| panic!("{e}"));
    let trace = sink.into_trace();
    let flights = trace.events.iter().filter_map(|e| match e.what {
        TraceWhat::Copy { bytes, .. } => Some((bytes, e.end - e.start)),
        _ => None,
    });
    assert_eq!(flights.collect::<Vec<_>>(), [(128, 400)]);
}

#[test]
fn maps_that_no_copy_can_use_are_faults() {
    let body = load(128, LOAD);
    let at = |change: fn(&mut TensorMap)| fault(&body, change);
    assert_eq!(
        at(|m| m.rank = 3),
        "the tensor map has 3 dimensions, expected 2 as the instruction"
    );
    assert_eq!(
        at(|m| m.interleave = Interleave::Bytes16),
        "the tensor map interleaves, which the CPU device does not execute, expected interleave none"
    );
    let address = |m: &mut TensorMap| m.address = 0x1008;
    assert_eq!(
        fault(&body, address),
        "the tensor map's tensor is at address 0x1008, expected a multiple of 16"
    );
    assert_eq!(
        at(|m| m.strides[0] = 72),
        "the tensor map's stride of dimension 1 is 72 bytes, expected a multiple of 16 below 2**40"
    );
    assert_eq!(
        at(|m| m.box_sizes[1] = 0),
        "the tensor map's box has 0 elements in dimension 1, expected 1 to 256"
    );
    assert_eq!(
        at(|m| m.element_strides[1] = 9),
        "the tensor map's element stride of dimension 1 is 9, expected 1 to 8"
    );
    assert_eq!(
        at(|m| m.box_sizes[0] = 7),
        "the tensor map's box has rows of 28 bytes, expected a multiple of 16"
    );
    assert_eq!(
        at(|m| (m.swizzle, m.box_sizes[0]) = (Swizzle::Bytes32, 16)),
        "the tensor map's box has rows of 64 bytes, expected at most 32, the length of its swizzle"
    );
    assert_eq!(
        at(|m| m.swizzle = Swizzle::Bytes128),
        "the tensor map's box has rows of 32 bytes in a swizzle of 128, which the CPU device does not execute, expected rows as \
         long as the swizzle"
    );
}

#[test]
fn boxes_in_the_wrong_place_are_faults() {
    let body = load(128, LOAD);
    assert_eq!(
        fault(&body.replace("{4, 2}", "{3, 2}"), |_| {}),
        "the box starts at element 3 of the innermost dimension, 12 bytes in, expected a multiple of 16 bytes"
    );
    let store =
        format!("{PROLOGUE} cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [tm, {{4, -1}}], [tile]; ret;");
    assert_eq!(
        fault(&store, |_| {}),
        "a store to a tensor starts at element -1 of dimension 1, expected 0 or more; only loads may begin outside"
    );
    assert_eq!(
        fault(&body.replace("{4, 2}", "{4, 15}"), |m| m.sizes[1] = 17),
        "out-of-bounds read in \"k\": 96 bytes at offset 976 of \"x\", which has 1024 bytes"
    );
    assert_eq!(
        fault(&body.replace("[tile],", "[tile+64],"), |_| {}),
        "misaligned write in \"k\": 128 bytes at offset 64 of shared memory, which has 1160 bytes, expected an address that is a \
         multiple of 128"
    );
    assert_eq!(
        fault(&body.replace("cvta.param.u64 tm, tm;", "add.u64 tm, in, 512;"), |_| {}),
        "found no tensor map in these 128 bytes, expected one of wb.tensor_map for an array on the CPU, or zeros that \
         tensormap.replace fills in"
    );
    assert_eq!(
        fault(
            &body.replace("cvta.param.u64 tm, tm;", "cvta.shared.u64 tm, 0;"),
            |_| {}
        ),
        "the tensor map is in shared or local memory, expected a parameter of the entry, .const or .global"
    );
}

#[test]
fn reductions_follow_the_element_type_of_the_map() {
    let reduce = |op: &str| {
        format!(
            "{PROLOGUE} mov.u32 s, tile; add.u32 s, s, off; st.shared.u32 [s], 0; fence.proxy.async; bar.sync 0; @p bra END;
            cp.reduce.async.bulk.tensor.2d.global.shared::cta.{op}.tile.bulk_group [tm, {{4, 2}}], [tile];
            cp.async.bulk.commit_group; cp.async.bulk.wait_group 0; END: ret;"
        )
    };
    let refused = fault(&reduce("inc"), |m| m.element = MapElement::F32);
    assert_eq!(
        refused,
        "the tensor map's elements are f32, for which .inc is not defined"
    );
}

#[test]
fn a_bulk_copy_off_16_bytes_is_told_to_start_at_a_multiple_of_16() {
    let copy = "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [tile], [in+8], 128, [bar];";
    assert_eq!(
        fault(&load(128, copy), |m| m.rank = 2)
            .split(" (address")
            .next()
            .map(str::to_owned),
        Some("misaligned read in \"k\": 128 bytes at offset 8 of \"x\"".to_owned())
    );
    assert!(fault(&load(128, copy), |_| {}).ends_with(", expected an address that is a multiple of 16"));
}

#[test]
fn forms_that_are_not_executed_are_refused_by_name() {
    let refused = |copy: &str| Module::parse(&entry(PARAMS, &load(128, copy))).map(|m| m.unsupported().cloned());
    let text = |copy: &str| match refused(copy) {
        Ok(Some(error)) | Err(error) => error.to_string(),
        Ok(None) => "accepted".to_owned(),
    };
    let base = "cp.async.bulk.tensor.3d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes";
    let line = "line 11, column ";
    let found = text(&format!("{base} [tile], [tm, {{1, 2, 3}}], [bar], {{m}};"));
    assert!(
        found.starts_with(line) && found.ends_with(&format!(": instruction \"{base}\" is not supported")),
        "{found}"
    );
    let base = "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.cta_group::1";
    let found = text(&format!("{base} [tile], [tm, {{4, 2}}], [bar];"));
    assert!(
        found.starts_with(line) && found.ends_with(&format!(": instruction \"{base}\" is not supported")),
        "{found}"
    );
    let found = text(
        "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [tile], [tm, {4}], [bar];",
    );
    assert!(
        found.ends_with(": found 1 coordinates, expected [map, {2 coordinates}]"),
        "{found}"
    );
}
