"""Each bundled kernel beside what it replaces, as ratios to the device-to-device copy of the same rounds.

Needs an NVIDIA GPU, CuPy and PyTorch:  python benchmarks/kernels.py [--only NAME ...] [--markdown FILE]

Method as in bandwidth.py: fresh random inputs several times the L2, outputs poisoned and checked before anything is
timed, CUDA events around bursts, all runners of a row in turn, medians. Bytes counted: each input read once, each
output written once, whatever a runner really moves. A peer that is not there is named in the table with the reason.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cupy as cp
import numpy as np
import torch
import warpbridge as wb
from bandwidth import MEAN, STD, Case, burst_s, copy_case, header, image_case, scale_case

ROUNDS = 7
MIB = 1 << 20
Runner = Callable[[], Any]


@dataclass
class Row:
    """One row: our launch, and by name the runners that it is compared with."""

    name: str
    moved_bytes: int
    ours: Runner
    check: Runner
    peers: dict[str, Runner] = field(default_factory=dict)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", help="rows whose names contain one of these")
    parser.add_argument("--markdown", type=Path, help="also write the table there")
    options = parser.parse_args()
    lines = ["| case | ours | TB/s | ratio to copy | peers: time as a multiple of ours |", "|---|---|---|---|---|"]
    for make in ROWS:
        row = make()
        if options.only and not any(name in row.name for name in options.only):
            continue
        lines.append(measure(row))
        print(lines[-1], flush=True)
        del row
        cp.get_default_memory_pool().free_all_blocks()
        torch.cuda.empty_cache()
    text = header(ROUNDS) + "\n".join(lines) + "\n"
    print(text)
    if options.markdown:
        options.markdown.write_text(text)
    return 0


def measure(row: Row) -> str:
    row.ours()
    row.check()
    copy = copy_case()
    runners, missing = {"ours": row.ours, "copy": copy.run}, []
    for name, run in row.peers.items():
        try:
            run()
            torch.cuda.synchronize()
            runners[name] = run
        except Exception as error:
            missing.append(f"{name}: {type(error).__name__}")
    times: dict[str, list[float]] = {name: [] for name in runners}
    for warm in (True, *[False] * ROUNDS):
        for name, run in runners.items():
            seconds = burst_s(run)
            if not warm:
                times[name].append(seconds)
    pairs = zip(times["ours"], times["copy"], strict=True)
    ratio = statistics.median(row.moved_bytes / ours / (copy.moved_bytes / floor) for ours, floor in pairs)
    ours = statistics.median(times["ours"])
    against = [f"{name} {statistics.median(times[name]) / ours:.2f}" for name in row.peers if name in times]
    return (
        f"| {row.name} | {ours * 1e6:.1f} us | {row.moved_bytes / ours / 1e12:.3f} | {ratio:.3f} | "
        f"{', '.join(against + missing)} |"
    )


def of_case(case: Case) -> Row:
    return Row(case.name, case.moved_bytes, case.run, case.check)


def matrix(rows: int, columns: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.randn(rows, columns, device="cuda", dtype=torch.float32).to(dtype)


def stream() -> torch.cuda.Stream:
    return torch.cuda.current_stream()


def rows_case(
    name: str, columns: int, dtype: torch.dtype, ours: Callable[..., Any], torch_does: Callable[..., torch.Tensor]
) -> Row:
    """Make a row of 512 MiB: ``ours(x, weight, out)`` binds, ``torch_does(x, weight)`` is reference and peer."""
    size = torch.empty(0, dtype=dtype).element_size()
    x, weight = matrix(512 * MIB // size // columns, columns, dtype), torch.randn(columns, device="cuda").to(dtype)
    out = torch.full_like(x, float("nan"))
    bound = ours(x, weight, out)
    compiled = torch.compile(torch_does)

    def check() -> None:
        exact = torch_does(x[:64].double(), weight.double())
        digits = {torch.float32: 2e-5, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}[dtype]
        torch.testing.assert_close(out[:64].double(), exact, rtol=digits, atol=digits / 16)
        assert not bool(torch.isnan(out).any()), "poison left in the output"

    kind = str(dtype).removeprefix("torch.")
    peers = {"torch": lambda: torch_does(x, weight), "torch.compile": lambda: compiled(x, weight)}
    return Row(f"{name} {kind}, rows of {columns}", 2 * x.nbytes, lambda: bound.launch(stream()), check, peers)


def softmax_case(columns: int, dtype: torch.dtype) -> Row:
    return rows_case(
        *("softmax", columns, dtype),
        lambda x, _, out: wb.kernels.softmax.bind(x, out=out),
        lambda x, _: torch.softmax(x, -1),
    )


def rms_norm_case(columns: int, dtype: torch.dtype) -> Row:
    return rows_case(
        *("rms_norm", columns, dtype),
        lambda x, weight, out: wb.kernels.rms_norm.bind(x, weight, out=out),
        lambda x, weight: torch.nn.functional.rms_norm(x, (x.shape[1],), weight, 1e-6),
    )


def layer_norm_case(columns: int, dtype: torch.dtype) -> Row:
    return rows_case(
        *("layer_norm", columns, dtype),
        lambda x, weight, out: wb.kernels.layer_norm.bind(x, weight, out=out),
        lambda x, weight: torch.nn.functional.layer_norm(x, (x.shape[1],), weight),
    )


def form_case(norm: str, columns: int, dtype: torch.dtype, residual: bool, quantise: torch.dtype | None) -> Row:
    """Make a row of a norm with a residual, or quantised with a scale per row, of 256 MiB; peers do the same steps."""
    x = matrix(256 * MIB // torch.empty(0, dtype=dtype).element_size() // columns, columns, dtype)
    other = torch.randn_like(x) if residual else None
    weight = torch.randn(columns, device="cuda").to(dtype)
    y = torch.empty_like(x, dtype=quantise or dtype)
    y.view(torch.uint8).fill_(0x7F)
    outs = (y, *([torch.full_like(x, float("nan"))] if residual else []))
    outs = (*outs, *([torch.full((len(x),), float("nan"), device="cuda")] if quantise else []))
    out = outs if len(outs) > 1 else y
    bound = getattr(wb.kernels, norm).bind(x, weight, residual=other, quantise=quantise, out=out)

    def torch_does(x: torch.Tensor, other: torch.Tensor | None, weight: torch.Tensor) -> tuple[torch.Tensor, ...]:
        z = x if other is None else x + other
        wide = z if z.dtype == torch.float64 else z.float()
        normed = NORMS[norm](wide, (columns,), weight.to(wide.dtype))
        summed = () if other is None else (z,)
        if quantise is None:
            return (normed.to(z.dtype), *summed)
        most = 127.0 if quantise == torch.int8 else 448.0
        scales = normed.abs().amax(-1) / most
        places = normed / scales[:, None]
        places = places.round() if quantise == torch.int8 else places
        return (places.to(quantise), *summed, scales)

    compiled = torch.compile(torch_does)

    def check() -> None:
        few = slice(0, 64)
        wanted = torch_does(x[few], None if other is None else other[few], weight)
        for found, expected in zip(outs, wanted, strict=True):
            step = 2.0 if found.dtype == torch.int8 else 0.0  # the place of a tie, and of one beside it
            digits = 0.13 if found.dtype == torch.float8_e4m3fn else 1e-2
            torch.testing.assert_close(found[few].double(), expected.double(), rtol=digits, atol=step or 4e-3)
        assert not any(bool(torch.isnan(found.float()).any()) for found in outs[1:]), "poison left in an output"

    inputs = x.nbytes + (x.nbytes if residual else 0)
    kinds = " to ".join(str(kind).removeprefix("torch.") for kind in (dtype, quantise) if kind)
    name = f"{norm}{' + residual' if residual else ''} {kinds}, rows of {columns}"
    peers = {"torch": lambda: torch_does(x, other, weight), "torch.compile": lambda: compiled(x, other, weight)}
    return Row(name, inputs + sum(a.nbytes for a in outs), lambda: bound.launch(stream()), check, peers)


NORMS: dict[str, Callable[..., torch.Tensor]] = {
    "rms_norm": lambda x, shape, weight: torch.nn.functional.rms_norm(x, shape, weight, 1e-6),
    "layer_norm": torch.nn.functional.layer_norm,
}


def cross_entropy_case(columns: int, dtype: torch.dtype) -> Row:
    size = torch.empty(0, dtype=dtype).element_size()
    x = matrix(512 * MIB // size // columns, columns, dtype)
    target = torch.randint(0, columns, (len(x),), device="cuda")
    out = torch.full((len(x),), float("nan"), device="cuda")
    bound = wb.kernels.cross_entropy.bind(x, target, out=out)

    def torch_does(x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(x, target, reduction="none")

    compiled = torch.compile(torch_does)

    def check() -> None:
        torch.testing.assert_close(out.double(), torch_does(x.double(), target), rtol=1e-5, atol=1e-5)

    kind = str(dtype).removeprefix("torch.")
    peers = {"torch": lambda: torch_does(x, target), "torch.compile": lambda: compiled(x, target)}
    return Row(f"cross_entropy {kind}, rows of {columns}", x.nbytes, lambda: bound.launch(stream()), check, peers)


def gather_case(row_bytes: int) -> Row:
    columns = row_bytes // 2
    src = matrix(1024 * MIB // row_bytes, columns, torch.float16)
    idx = torch.randint(0, len(src), (512 * MIB // row_bytes,), device="cuda")
    out = torch.full((len(idx), columns), float("nan"), device="cuda", dtype=src.dtype)
    bound = wb.kernels.gather_rows.bind(src, idx, out=out)

    def check() -> None:
        assert torch.equal(out, src[idx])

    peers = {"torch.index_select": lambda: torch.index_select(src, 0, idx)}
    return Row(f"gather_rows, rows of {row_bytes} B", 2 * out.nbytes, lambda: bound.launch(stream()), check, peers)


def frames_case(length: int, hop: int) -> Row:
    x = cp.random.randint(-30_000, 30_000, (256 * MIB // 8 * hop // length, 2), dtype=np.int16)
    window = cp.asarray(np.hanning(length).astype(np.float32))
    frames = (len(x) - length) // hop + 1
    out = cp.full((frames, length), np.nan, dtype=np.complex64)
    bound = wb.kernels.fft_frames.bind(x, window, hop, out=out)

    def chain() -> Any:
        signal = x.astype(np.float32).view(np.complex64)[:, 0]
        return cp.lib.stride_tricks.sliding_window_view(signal, length)[::hop] * window

    def check() -> None:
        cp.testing.assert_allclose(out, chain(), rtol=1e-6)

    moved = out.nbytes + x.nbytes
    return Row(f"fft_frames int16, {length} by {hop}", moved, lambda: bound.launch(null()), check, {"CuPy": chain})


def power_case(average: int) -> Row:
    columns = 1024
    x = cp.random.standard_normal((512 * MIB // 8 // columns, columns * 2), dtype=np.float32).view(np.complex64)
    out = cp.full((len(x) // average, columns), np.nan, dtype=np.float32)
    bound = wb.kernels.fft_power.bind(x, average, 1.0, 1, out=out)

    def chain() -> Any:
        power = cp.abs(x) ** 2
        return 10.0 * cp.log10(power.reshape(-1, average, columns).mean(axis=1))

    def check() -> None:
        cp.testing.assert_allclose(out, chain(), rtol=1e-4, atol=1e-4)

    moved = out.nbytes + x.nbytes
    return Row(f"fft_power dB, average {average}", moved, lambda: bound.launch(null()), check, {"CuPy": chain})


def product_case() -> Row:
    columns = 4096
    shape = (256 * MIB // 8 // columns, columns * 2)
    a, b = (cp.random.standard_normal(shape, dtype=np.float32).view(np.complex64) for _ in range(2))
    out = cp.full(a.shape, np.nan, dtype=np.complex64)
    bound = wb.kernels.spectral_multiply.bind(a, b, 0.25, 1, out=out)

    def chain() -> Any:
        return a * b.conj() * np.float32(0.25)

    def check() -> None:
        cp.testing.assert_allclose(out, chain(), rtol=1e-4, atol=1e-5)

    return Row("spectral_multiply complex64", 3 * a.nbytes, lambda: bound.launch(null()), check, {"CuPy": chain})


def field_case(dtype: type) -> Row:
    h, w = 512 * MIB // np.dtype(dtype).itemsize // 8192, 8192
    x = cp.random.standard_normal((h, w), dtype=np.float32).astype(dtype)
    lut = cp.random.randint(0, 256, (256, 4), dtype=np.uint8)
    out = cp.full((h, w, 4), 99, dtype=np.uint8)
    bound = wb.kernels.field_to_rgba.bind(x, lut, -3.0, 3.0, out=out)

    def chain() -> Any:
        place = (x.astype(np.float32) + 3.0) * (256 / 6.0)
        return lut[cp.clip(place, 0, 255).astype(np.int32)]

    def check() -> None:
        differs = (out != chain()).any(axis=-1).mean()
        assert float(differs) < 1e-2, "the chain rounds places at the edges of colours otherwise, not elsewhere"

    moved = out.nbytes + x.nbytes
    name = f"field_to_rgba {np.dtype(dtype).name}"
    return Row(name, moved, lambda: bound.launch(null()), check, {"CuPy": chain})


def dequant_case(rows: int, k: int, batch: int, bits: int) -> Row:
    """Make a row of a layer with groups of 128; the bytes counted are w, scales, x and y."""
    c = k // 2 if bits == 4 else k
    kind = torch.uint8 if bits == 4 else torch.int8
    w = torch.randint(0, 256, (rows, c), dtype=torch.uint8, device="cuda").view(kind)
    scales = (torch.rand(rows, k // 128, device="cuda") / 16).to(torch.float16)
    x = torch.randn(batch, k, device="cuda").to(torch.float16)
    out = torch.full((batch, rows), float("nan"), dtype=x.dtype, device="cuda")
    bound = wb.kernels.dequant_matvec.bind(w, scales, x, out=out)

    def eager(w: torch.Tensor, scales: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        q = torch.stack([w & 15, w >> 4], -1).view(len(w), -1).to(x.dtype) - 8 if bits == 4 else w.to(x.dtype)
        return x @ (q.view(len(w), -1, 128) * scales[:, :, None]).view(len(w), -1).T

    def check() -> None:
        exact = eager(w[:512], scales[:512].double(), x.double())
        torch.testing.assert_close(out[:, :512].double(), exact, rtol=2e-3, atol=2e-3 * float(exact.abs().mean()))
        assert not bool(torch.isnan(out).any()), "poison left in the output"

    compiled, wide = torch.compile(eager), torch.randn(rows, k, device="cuda", dtype=torch.float16)
    peers: dict[str, Runner] = {
        "torch": lambda: eager(w, scales, x),
        "torch.compile": lambda: compiled(w, scales, x),
        "cuBLAS on float16 weights": lambda: x @ wide.T,
    }
    if bits == 4:
        peers["torch's int4 (bfloat16)"] = int4pack(w, scales, x)
    moved = sum(t.nbytes for t in (w, scales, x, out))
    name = f"dequant_matvec int{bits}, {rows} x {k}, batch {batch}"
    return Row(name, moved, lambda: bound.launch(stream()), check, peers)


def int4pack(w: torch.Tensor, scales: torch.Tensor, x: torch.Tensor) -> Runner:
    """Return PyTorch's own int4 product: bfloat16, weights packed beforehand, scales and zeros side by side."""
    packed = torch._convert_weight_to_int4pack(w >> 4 | w << 4, 8)  # it wants the smaller k in the high half
    pairs = torch.stack([scales.T, torch.zeros_like(scales.T)], -1).to(torch.bfloat16).contiguous()
    narrow = x.to(torch.bfloat16)
    return lambda: torch._weight_int4pack_mm(narrow, packed, 128, pairs)


def stencil_case(n: int, steps: int, radius: int = 1) -> Row:
    u = cp.random.standard_normal((n, n, n), dtype=np.float32)
    weights = np.full((3, 2 * radius + 1), 0.4 / (6 * radius), np.float32)
    weights[:, radius] = 0.2
    out = cp.full(u.shape, np.nan, dtype=np.float32)
    on_gpu = cp.asarray(weights)
    bound = wb.kernels.stencil3d.bind(u, on_gpu, steps, out=out)
    fields = [cp.empty_like(u) for _ in range(2)]
    naive = cp.RawKernel(NAIVE_STAR, "star")
    grid, block = ((n + 31) // 32, (n + 7) // 8, n), (32, 8, 1)

    def raw() -> Any:
        before = u
        for step in range(steps):
            after = fields[step % 2]
            naive(grid, block, (before, after, np.int32(n), np.int32(radius), on_gpu))
            before = after
        return before

    kernel = torch.zeros(1, 1, *(3 * [2 * radius + 1]), device="cuda")
    for axis in range(3):
        for place in range(2 * radius + 1):
            index = [radius] * 3
            index[axis] = place
            kernel[(0, 0, *index)] += float(weights[axis, place])
    field = torch.from_dlpack(u)[None, None]

    def conv3d() -> Any:
        y = field
        for _ in range(steps):
            y = torch.nn.functional.conv3d(y, kernel, padding=radius)
        return y

    def check() -> None:
        cp.testing.assert_allclose(out, raw(), rtol=1e-4, atol=1e-5)

    name = f"stencil3d {n}^3, radius {radius}, {steps} steps"
    moved = 2 * u.nbytes * steps
    peers: dict[str, Runner] = {"CuPy RawKernel": raw}
    if radius == 1 and steps <= 4:  # slow, and slower for larger stencils
        peers["torch conv3d"] = conv3d
    return Row(name, moved, lambda: bound.launch(null()), check, peers)


NAIVE_STAR = """
extern "C" __global__ void star(const float* u, float* y, int n, int r, const float* w) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, row = blockIdx.y * blockDim.y + threadIdx.y, z = blockIdx.z;
    if (x >= n || row >= n) return;
    size_t at = ((size_t)z * n + row) * n + x, plane = (size_t)n * n;
    int taps = 2 * r + 1;
    if (x < r || x >= n - r || row < r || row >= n - r || z < r || z >= n - r) { y[at] = u[at]; return; }
    float sum = (w[r] + w[taps + r] + w[2 * taps + r]) * u[at];
    for (int d = 1; d <= r; d++) {
        sum += w[r - d] * u[at - d * plane] + w[r + d] * u[at + d * plane];
        sum += w[taps + r - d] * u[at - d * n] + w[taps + r + d] * u[at + d * n];
        sum += w[2 * taps + r - d] * u[at - d] + w[2 * taps + r + d] * u[at + d];
    }
    y[at] = sum;
}
"""


def prep_case() -> Row:
    """Make a row of `image_prep`; torchvision's chain crops all images alike and mirrors none, which is less work."""
    row = of_case(image_case("float16"))
    x = torch.randint(0, 256, (4096, 256, 256, 3), dtype=torch.uint8, device="cuda").permute(0, 3, 1, 2)
    return replace(row, peers={"torchvision v2": torchvision_chain(x, 224, v2_name="center_crop")})


def resize_case(n: int, size: int, to: int) -> Row:
    x = torch.randint(0, 256, (n, size, size, 3), dtype=torch.uint8, device="cuda")
    out = torch.full((n, 3, to, to), float("nan"), dtype=torch.float16, device="cuda")
    bound = wb.kernels.image_resize.bind(x, MEAN, STD, out=out)
    planes = x.permute(0, 3, 1, 2)
    mean, std = (torch.tensor(v, device="cuda").view(3, 1, 1) for v in (MEAN, STD))

    def chain(images: torch.Tensor) -> torch.Tensor:
        resized = torch.nn.functional.interpolate(images.float(), (to, to), mode="bilinear")
        return ((resized / 255 - mean) / std).to(torch.float16)

    def check() -> None:
        torch.testing.assert_close(out[:64], chain(planes[:64]), rtol=2e-3, atol=2e-3)
        assert not bool(torch.isnan(out).any()), "poison left in the output"

    compiled = torch.compile(chain)
    peers: dict[str, Runner] = {
        "torch": lambda: chain(planes),
        "torch.compile": lambda: compiled(planes),
        "torchvision v2": torchvision_chain(planes, to, v2_name="resize"),
    }
    name = f"image_resize to float16, {n} x {size}^2 to {to}^2"
    return Row(name, x.nbytes + out.nbytes, lambda: bound.launch(stream()), check, peers)


def torchvision_chain(x: torch.Tensor, size: int, v2_name: str) -> Runner:
    """Return torchvision's crop or resize of uint8 planes, conversion and normalisation, one after the other."""
    from torchvision.transforms.v2 import functional

    keywords = {"antialias": False} if v2_name == "resize" else {}

    def run() -> torch.Tensor:
        part = getattr(functional, v2_name)(x, [size, size], **keywords)
        return functional.normalize(functional.to_dtype(part, torch.float16, scale=True), list(MEAN), list(STD))

    return run


def null() -> Any:
    return cp.cuda.get_current_stream()


STENCILS = [(512, 4, 1), (512, 4, 2), (512, 4, 4), (256, 32, 1)]
ROWS: list[Callable[[], Row]] = [
    lambda: of_case(scale_case(np.float32)),
    prep_case,
    lambda: resize_case(2048, 512, 224),
    lambda: resize_case(2048, 224, 384),
    *(
        (lambda make=make, columns=columns, dtype=dtype: make(columns, dtype))
        for make in (softmax_case, rms_norm_case, layer_norm_case, cross_entropy_case)
        for columns, dtype in (
            (1024, torch.float16),
            (4096, torch.float16),
            (4096, torch.bfloat16),
            (4096, torch.float32),
            (32_768, torch.float32),
            (262_144, torch.float16),
            (262_144, torch.float32),
        )
    ),
    *(
        (lambda norm=norm, columns=columns, form=form: form_case(norm, columns, *form))
        for norm in NORMS
        for columns in (4096, 8192)
        for form in (
            (torch.bfloat16, True, None),
            (torch.bfloat16, False, torch.float8_e4m3fn),
            (torch.bfloat16, True, torch.float8_e4m3fn),
            (torch.float16, True, torch.int8),
        )
    ),
    *((lambda size=size: gather_case(size)) for size in (256, 1024, 4096, 16_384)),
    lambda: frames_case(1024, 512),
    lambda: frames_case(4096, 4096),
    lambda: power_case(1),
    lambda: power_case(8),
    product_case,
    lambda: field_case(np.float32),
    lambda: field_case(np.float16),
    *((lambda batch=batch: dequant_case(28_672, 8192, batch, 4)) for batch in (1, 4, 8)),
    lambda: dequant_case(28_672, 16_384, 1, 4),
    lambda: dequant_case(28_672, 8192, 1, 8),
    *((lambda n=n, steps=steps, r=r: stencil_case(n, steps, r)) for n, steps, r in STENCILS),
]


if __name__ == "__main__":
    raise SystemExit(main())
