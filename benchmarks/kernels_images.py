"""Rows of kernels.py's table: `scale`, and images on their way into a network, beside PyTorch and torchvision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
import warpbridge as wb
from bandwidth import MEAN, STD, Case, image_case, scale_case
from kernels_table import Row, Runner, stream


def of_case(case: Case) -> Row:
    return Row(case.name, case.moved_bytes, case.run, case.check)


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


ROWS: list[Callable[[], Row]] = [
    lambda: of_case(scale_case(np.float32)),
    prep_case,
    lambda: resize_case(2048, 512, 224),
    lambda: resize_case(2048, 224, 384),
]
