//! Each hazard in a small PTX file with two entries: `bug`, which the judge must name under every schedule, and `twin`,
//! which it must let pass. The reports are compared whole; a file lists one for each order that the schedules produce.

#![allow(missing_docs)]
mod common;
use common::{parse, Args, Run, SCHEDULES};
use emulator::{Checks, Fault, MapElement, TensorMap};

/// Aligned as arrays from an allocator of a GPU are.
#[repr(align(256))]
struct Data([u32; 1024]);

struct Case {
    name: &'static str,
    text: &'static str,
    reports: &'static str,
    threads: u32,
    /// Thread blocks, all in one cluster, unless it is about global memory.
    blocks: u32,
}

/// The data as 32 rows of 32 floats, in boxes of 8 rows of 16.
fn map(data: &[u32; 1024]) -> TensorMap {
    TensorMap {
        rank: 2,
        element: MapElement::F32,
        address: data.as_ptr() as u64,
        sizes: [32, 32, 0, 0, 0],
        strides: [128, 0, 0, 0],
        box_sizes: [16, 8, 0, 0, 0],
        element_strides: [1, 1, 0, 0, 0],
        ..TensorMap::default()
    }
}

impl Case {
    fn run(&self, entry: &str, schedule: (emulator::Schedule, u64)) -> Result<(), Fault> {
        let module = parse(self.text);
        let mut data = Box::new(Data([0; 1024]));
        let mut args = Args::default();
        if self.name.starts_with("tensor") {
            args.push(map(&data.0).encode());
        }
        args.array("data", &mut data.0);
        let mut run = Run::new(&module, entry, self.blocks, self.threads).schedule(schedule.0, schedule.1);
        run.settings.checks = Checks::All;
        run.settings.global_races = self.name.starts_with("global");
        if run.settings.global_races {
            // Several host threads meet in no certain order.
            run.settings.threads = 1;
        } else {
            run.cluster = [self.blocks, 1, 1];
        }
        run.go(&args).map(drop)
    }

    fn check(&self) {
        let mut missing: Vec<_> = self.reports.split("\n\n").map(str::trim_end).collect();
        let expected = missing.clone();
        for schedule in SCHEDULES {
            let Err(fault) = self.run("bug", schedule) else {
                panic!("{}: nothing was found under {schedule:?}", self.name);
            };
            let found = fault.to_string();
            assert!(
                expected.contains(&found.as_str()),
                "{} under {schedule:?}: found\n{found}\nexpected\n{}",
                self.name,
                self.reports
            );
            missing.retain(|report| *report != found);
            let twin = self.run("twin", schedule);
            assert!(
                twin.is_ok(),
                "{}: twin under {schedule:?}: {}",
                self.name,
                twin.unwrap_err()
            );
        }
        assert!(
            missing.is_empty(),
            "{}: no schedule gives\n{}",
            self.name,
            missing.join("\n")
        );
    }
}

macro_rules! hazards {
    ($($name:ident($threads:expr, $blocks:expr);)*) => {
        $(
            #[test]
            fn $name() {
                Case {
                    name: stringify!($name),
                    text: include_str!(concat!("ptx/judge/", stringify!($name), ".ptx")),
                    reports: include_str!(concat!("ptx/judge/", stringify!($name), ".txt")),
                    threads: $threads,
                    blocks: $blocks,
                }
                .check();
            }
        )*

        #[test]
        fn every_file_is_a_case() {
            let names = [$(stringify!($name)),*];
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ptx/judge");
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let stem = path.file_stem().unwrap().to_str().unwrap();
                assert!(names.contains(&stem), "{} has no test", path.display());
            }
        }
    };
}

hazards! {
    aligned_under_guard(32, 1);
    answer_not_read(64, 1);
    arrivals_too_many(64, 1);
    barrier_count_differs(64, 1);
    barrier_in_diverged_warp(64, 1);
    barrier_missing(64, 1);
    bulk_never_waited(64, 1);
    bulk_source_reused(64, 1);
    bulk_stage_not_free(64, 1);
    bulk_wait_missing(64, 1);
    bytes_too_many(64, 1);
    cluster_barrier_missing(64, 2);
    cluster_exit_too_early(64, 2);
    double_init(64, 1);
    exit_before_store(64, 1);
    exit_in_flight(64, 1);
    expected_too_late(64, 1);
    flag_not_volatile(64, 1);
    global_flag_too_early(64, 2);
    global_store_not_waited(64, 2);
    global_sum_not_atomic(64, 2);
    histogram_not_atomic(64, 1);
    init_missing(64, 1);
    init_not_published(64, 1);
    inval_while_waited(64, 1);
    local_never_written(32, 1);
    matrix_after_exit(32, 1);
    matrix_in_diverged_warp(32, 1);
    mbarrier_overwritten(64, 1);
    member_mask_without_lane(32, 1);
    overwritten_too_early(64, 1);
    parity_not_flipped(64, 1);
    pointer_to_returned_frame(32, 1);
    proxy_fence_missing(64, 1);
    register_as_address(32, 1);
    register_as_guard(32, 1);
    register_stored(32, 1);
    registers_in_half_a_warpgroup(128, 1);
    registers_starved(384, 1);
    registers_twice(128, 1);
    shared_never_written(32, 1);
    tensor_bytes_of_inner_part(64, 1);
    tensor_stage_still_stored(64, 1);
    tensor_store_unfenced(64, 1);
    tensor_wait_missing(32, 1);
    wait_after_inval(64, 1);
    wait_group_too_few(32, 1);
    wait_never_satisfied(64, 1);
    wait_without_barrier(64, 1);
    warp_sync_missing(32, 1);
    wgmma_accumulator_in_flight(128, 1);
    wgmma_fence_missing(128, 1);
    wgmma_fence_missing_again(128, 1);
    wgmma_fragment_in_flight(128, 1);
    wgmma_in_diverged_warp(128, 1);
    wgmma_never_waited(128, 1);
    wgmma_operand_overwritten(128, 1);
    wgmma_proxy_fence_missing(128, 1);
    wgmma_shape_changes(128, 1);
    wgmma_warp_missing(128, 1);
}
