"""`stencil3d` bit for bit against its reference: radii, boundaries, tails, many steps; progress, cancel, workspace."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import references
import warpbridge as wb

VARIANTS = ["sm_80", "sm_90"]
SCHEDULES = [("eager", 0), ("latest", 0), ("seeded", 1), ("seeded", 2), ("seeded", 3)]
# Shape, radius, steps, periodic: aligned rows and not, tails of tiles on each axis, fields smaller than the star.
CASES = [
    ((1, 1, 1), 1, 1, 0),
    ((3, 3, 3), 1, 5, 0),
    ((2, 9, 40), 4, 3, 0),
    ((12, 10, 16), 1, 0, 0),
    ((12, 10, 16), 1, 1, 0),
    ((17, 26, 140), 1, 2, 0),
    ((11, 25, 131), 1, 3, 0),
    ((10, 18, 33), 2, 4, 0),
    ((17, 9, 260), 3, 3, 0),
    ((9, 17, 12), 4, 2, 0),
    ((1, 1, 4), 1, 3, 1),
    ((4, 4, 4), 4, 3, 1),
    ((17, 25, 129), 1, 3, 1),
    ((9, 17, 132), 4, 3, 1),
    ((10, 19, 37), 2, 2, 1),
]
HEAT = np.array([[0.1, -0.2, 0.1], [0.1, -0.2, 0.1], [0.1, 0.8, 0.1]], np.float32)


def problem(shape: tuple[int, int, int], radius: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a field, and weights without symmetry whose sum is 1."""
    rng = np.random.default_rng(sum(shape) + radius)
    weights = rng.random((3, 2 * radius + 1), np.float32)
    return rng.standard_normal(shape, np.float32), weights / weights.sum()


def check(case: tuple[tuple[int, int, int], int, int, int], to: Any, **options: Any) -> None:
    shape, radius, steps, periodic = case
    u, weights = problem(shape, radius)
    given = to(u)
    y = wb.kernels.stencil3d(given, to(weights), steps, periodic, **options)
    y, given = (a if isinstance(a, np.ndarray) else a.get() for a in (y, given))
    assert y.tobytes() == references.stencil3d(u, weights, steps, periodic).tobytes()
    assert given.tobytes() == u.tobytes(), "the caller's field was changed"


def as_it_is(x: np.ndarray) -> np.ndarray:
    return x


def off_by(elements: int) -> Any:
    """Return a copier to memory that starts so many numbers off a multiple of 16 bytes."""

    def copied(x: np.ndarray) -> np.ndarray:
        room = np.empty(x.size + 8, x.dtype)
        begin = (-room.ctypes.data // 4) % 4 + elements
        room[begin : begin + x.size] = x.reshape(-1)
        return room[begin : begin + x.size].reshape(x.shape)

    return copied


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_any_size(case: tuple[tuple[int, int, int], int, int, int], arch: str) -> None:
    check(case, as_it_is, arch=arch)


@pytest.mark.parametrize(("schedule", "seed"), SCHEDULES)
@pytest.mark.parametrize("arch", VARIANTS)
def test_every_schedule(arch: str, schedule: str, seed: int) -> None:
    with wb.cpu(schedule=schedule, seed=seed, checks="all"):
        check(((9, 26, 132), 1, 2, 0), as_it_is, arch=arch)
        check(((9, 11, 13), 1, 3, 0), off_by(1), arch=arch)
        check(((9, 9, 12), 4, 2, 1), as_it_is, arch=arch)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("arch", VARIANTS)
def test_thread_blocks_that_wait_for_each_other_do_not_race(arch: str, threads: int) -> None:
    with wb.cpu(schedule="latest", checks="all", threads=threads, global_races=True):
        for shape, radius, steps, periodic in (((9, 10, 132), 1, 3, 0), ((17, 25, 13), 2, 3, 1)):
            u, weights = problem(shape, radius)
            y = wb.kernels.stencil3d.launch(u, weights, steps, periodic, arch=arch)
            wb.device("cpu").synchronize()
            assert y.tobytes() == references.stencil3d(u, weights, steps, periodic).tobytes()


@pytest.mark.parametrize("elements", [1, 2, 3])
def test_fields_at_any_address(elements: int) -> None:
    check(((9, 11, 20), 1, 2, 0), off_by(elements))
    check(((9, 11, 21), 2, 2, 1), off_by(elements))


@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("plane", [(1, 1), (1, 2), (2, 1), (1, 3)])
def test_planes_that_share_the_16_bytes_which_an_end_of_the_field_cuts(plane: tuple[int, int], arch: str) -> None:
    for nz in range(1, 8):
        for elements in range(4):
            check(((nz, *plane), 1, 2, 0), off_by(elements), arch=arch)
            check(((nz, *plane), 1, 1, 1), off_by(elements), arch=arch)


def test_heat_of_one_point_spreads_and_is_kept() -> None:
    u = np.zeros((33, 33, 33), np.float32)
    u[16, 16, 16] = 1.0
    weights = np.array([[0.1, -0.2, 0.1], [0.1, -0.2, 0.1], [0.1, 0.8, 0.1]], np.float32)
    y = wb.kernels.stencil3d(u, weights, 10, 1)
    assert abs(float(y.sum()) - 1.0) < 1e-5
    place = np.arange(33) - 16.0
    variance = float((y.sum(axis=(1, 2)) * place**2).sum())
    assert abs(variance - 10 * 2 * 0.1) < 1e-4, "the variance of heat on an axis grows by 2 k dt / h^2 per step"


def test_fixed_faces_keep_their_numbers() -> None:
    u = np.zeros((12, 12, 12), np.float32)
    u[0] = 1.0
    y = wb.kernels.stencil3d(u, HEAT, 50)
    assert (y[0] == 1.0).all()
    assert (y[-1] == 0.0).all()
    assert y[5, 6, 6] > y[8, 6, 6] > 0.0


def test_field_without_numbers() -> None:
    assert wb.kernels.stencil3d(np.empty((0, 4, 4), np.float32), HEAT, 3).shape == (0, 4, 4)


def test_cancel_stops_between_pieces_and_progress_only_grows() -> None:
    u = np.zeros((40, 48, 128), np.float32)
    pending = wb.kernels.stencil3d.submit(u, HEAT, 100_000)
    seen = [pending.progress]
    deadline = time.monotonic() + 60.0
    while seen[-1] < 2e-5 and time.monotonic() < deadline:
        seen.append(pending.progress)
    assert pending.cancel()
    with pytest.raises(wb.LaunchCancelled):
        pending.result(timeout=60.0)
    assert 0.0 < seen[-1] < 0.5
    assert seen == sorted(seen)


def test_bound_call_after_a_cancelled_one_starts_anew() -> None:
    u, weights = problem((20, 24, 128), 1)
    y = np.empty_like(u)
    bound = wb.kernels.stencil3d.bind(u, weights, 300, out=y)
    pending = bound.submit()
    pending.cancel()
    with pytest.raises((wb.LaunchCancelled, wb.LaunchTimeout)):
        pending.result(timeout=20.0)
    few = wb.kernels.stencil3d.bind(u, weights, 3, out=y)
    for _ in range(2):
        few()
        assert y.tobytes() == references.stencil3d(u, weights, 3).tobytes()


def test_stream_ordered_launches_keep_their_workspace() -> None:
    u, weights = problem((12, 10, 16), 1)
    stream = wb.device("cpu").stream()
    results = [wb.kernels.stencil3d.launch(u, weights, steps, stream=stream) for steps in range(6)]
    stream.synchronize()
    for steps, y in enumerate(results):
        assert y.tobytes() == references.stencil3d(u, weights, steps).tobytes()


@pytest.mark.parametrize(
    ("shape", "taps", "options", "text"),
    [
        ((4, 4, 4), 4, {}, "stencil3d: coefficients has rows of 4 weights, expected 3, 5, 7 or 9"),
        ((4, 4, 4), 11, {}, "stencil3d: coefficients has rows of 11 weights, expected 3, 5, 7 or 9"),
        (
            (4, 1, 4),
            5,
            {"periodic": 1},
            "stencil3d: u is 4 by 1 by 4, expected at least 2 on each axis of a periodic field: the radius",
        ),
        (
            (8, 512, 1024),
            3,
            {"steps": 200_000_000},
            "stencil3d: 200000000 steps of 296 tiles, expected fewer than 2^31 tiles in all: make several calls",
        ),
        (
            (4, 4, 4),
            3,
            {"work": 1},
            "stencil3d: workspace work is given, expected none: it is allocated; bind the call to keep it",
        ),
    ],
)
def test_misuse_is_told(shape: tuple[int, int, int], taps: int, options: dict[str, Any], text: str) -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        wb.kernels.stencil3d(np.zeros(shape, np.float32), np.zeros((3, taps), np.float32), **options)
    assert str(caught.value) == text


@pytest.mark.gpu
@pytest.mark.parametrize("arch", VARIANTS)
@pytest.mark.parametrize("case", [*CASES, ((70, 100, 300), 1, 7, 0), ((150, 150, 201), 2, 5, 1)], ids=str)
def test_any_size_on_the_gpu(case: tuple[tuple[int, int, int], int, int, int], arch: str) -> None:
    import cupy

    check(case, cupy.asarray, arch=arch, timeout=20.0)


@pytest.mark.gpu
@pytest.mark.parametrize("periodic", [0, 1])
def test_many_steps_on_the_gpu(periodic: int) -> None:
    import cupy

    u, weights = problem((128, 120, 256), 1)
    many = wb.kernels.stencil3d(cupy.asarray(u), cupy.asarray(weights), 200, periodic, timeout=20.0)
    again = cupy.asarray(u)
    for _ in range(200):
        again = wb.kernels.stencil3d(again, cupy.asarray(weights), 1, periodic)
    assert many.get().tobytes() == again.get().tobytes()


@pytest.mark.gpu
def test_launches_side_by_side_on_the_gpu() -> None:
    import cupy

    u, weights = problem((128, 120, 256), 1)
    streams = [cupy.cuda.Stream(non_blocking=True) for _ in range(4)]
    field, on_gpu = cupy.asarray(u), cupy.asarray(weights)
    cupy.cuda.Device().synchronize()
    results = [wb.kernels.stencil3d.launch(field, on_gpu, 200, stream=stream) for stream in streams]
    for stream in streams:
        stream.synchronize()
    assert len({y.get().tobytes() for y in results}) == 1


@pytest.mark.gpu
def test_cancel_on_the_gpu() -> None:
    import cupy

    u = cupy.zeros((256, 256, 256), np.float32)
    pending = wb.kernels.stencil3d.submit(u, cupy.asarray(HEAT), 400_000)
    seen = [pending.progress]
    deadline = time.monotonic() + 10.0
    while seen[-1] < 1e-4 and time.monotonic() < deadline:
        seen.append(pending.progress)
    began = time.monotonic()
    assert pending.cancel()
    with pytest.raises(wb.LaunchCancelled):
        pending.result(timeout=10.0)
    assert time.monotonic() - began < 10
    assert 0.0 < seen[-1] < 0.5
    assert seen == sorted(seen)


@pytest.mark.gpu
def test_captured_launch_replays_on_the_gpu() -> None:
    import cupy

    u, weights = problem((40, 50, 64), 1)
    field, y = cupy.asarray(u), cupy.empty(u.shape, np.float32)
    bound = wb.kernels.stencil3d.bind(field, cupy.asarray(weights), 5, out=y)
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        bound.launch(stream)
        graph = stream.end_capture()
    for _ in range(3):
        field *= 2
        cupy.cuda.Device().synchronize()
        graph.launch(stream)
        stream.synchronize()
        assert y.get().tobytes() == references.stencil3d(field.get(), weights, 5).tobytes()
