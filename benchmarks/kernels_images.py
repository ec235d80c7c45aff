"""Rows of kernels.py's tables: `scale`, and images on their way into a network, beside PyTorch and torchvision."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import cupy as cp
import kernels_tuned
import torch
import warpbridge as wb
from bandwidth import GIB, MEAN, STD, image_case
from kernels_table import Row, Runner, compiled, stream, torch_peers


def scale_case() -> Row:
    x = torch.randn(GIB // 4, device="cuda")
    out = torch.full_like(x, float("nan"))
    bound, of_cupy = wb.kernels.scale.bind(x, 1.5, -0.25, out=out), cp.from_dlpack(x)

    def agrees(found: torch.Tensor) -> None:
        exact = x[: 1 << 22].double() * 1.5 - 0.25
        torch.testing.assert_close(found[: 1 << 22].double(), exact, rtol=1e-6, atol=1e-7)
        assert not bool(torch.isnan(found).any()), "poison left in the output"

    fused = compiled(lambda x: x * 1.5 - 0.25)
    peers = {
        "CuPy": lambda: of_cupy * 1.5 - 0.25,
        "torch": lambda: x * 1.5 - 0.25,
        "torch.compile": lambda: fused(x),
        **kernels_tuned.scale(x, 1.5, -0.25, agrees),
    }
    return Row(2 * x.nbytes, lambda: bound.launch(stream()), lambda: agrees(out), peers, 0.95)


def prep_case() -> Row:
    """Make a row of `image_prep`; torchvision's chain crops all images alike and mirrors none, which is less work."""
    case = image_case("float16")
    x, offsets, mirror, out = (torch.from_dlpack(a) for a in case.arrays)
    size = out.shape[-1]
    mean, std = (torch.tensor(v, device=x.device).view(3, 1, 1) for v in (MEAN, STD))

    def chain(x: torch.Tensor, offsets: torch.Tensor, mirror: torch.Tensor) -> torch.Tensor:
        image, place = torch.arange(len(x), device=x.device), torch.arange(size, device=x.device)
        rows = offsets[:, :1] + place
        columns = offsets[:, 1:] + torch.where(mirror[:, None] != 0, size - 1 - place, place)
        crops = x[image[:, None, None], rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
        return ((crops.float() / 255 - mean) / std).to(torch.float16, memory_format=torch.contiguous_format)

    def agrees(found: torch.Tensor) -> None:
        assert found.shape == out.shape
        torch.testing.assert_close(found[:64], out[:64], rtol=2e-3, atol=1e-5)

    fused = compiled(chain)
    peers = torch_peers(lambda: chain(x, offsets, mirror), lambda: fused(x, offsets, mirror), agrees)
    peers["torchvision v2"] = torchvision_chain(x.permute(0, 3, 1, 2), size, v2_name="center_crop")
    return Row(case.moved_bytes, case.run, case.check, peers, 0.80, {"torchvision v2": 5})


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

    fused = compiled(chain)
    peers: dict[str, Runner] = {
        "torch": lambda: chain(planes),
        "torch.compile": lambda: fused(planes),
        "torchvision v2": torchvision_chain(planes, to, v2_name="resize"),
    }
    return Row(x.nbytes + out.nbytes, lambda: bound.launch(stream()), check, peers)


def torchvision_chain(x: torch.Tensor, size: int, v2_name: str) -> Runner:
    """Return torchvision's crop or resize of uint8 planes, conversion and normalisation, one after the other."""
    from torchvision.transforms.v2 import functional

    keywords = {"antialias": False} if v2_name == "resize" else {}

    def run() -> torch.Tensor:
        part = getattr(functional, v2_name)(x, [size, size], **keywords)
        return functional.normalize(functional.to_dtype(part, torch.float16, scale=True), list(MEAN), list(STD))

    return run


SIZES = [(2048, 512, 224), (2048, 224, 384)]
ROWS: dict[str, Callable[[], Row]] = {
    "scale float32, 1 GiB": scale_case,
    "image_prep to float16, 4096 x 224^2": prep_case,
    **{f"image_resize to float16, {n} x {a}^2 to {b}^2": partial(resize_case, n, a, b) for n, a, b in SIZES},
}
