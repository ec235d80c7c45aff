"""Real photographs for the demo: the ones named, else a sample that an installed library ships, else a drawn scene.

Decodes to one uint8 batch; knows nothing of kernels. The picture sheet is in ``sheet.py``.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

# Photographs that well-known libraries carry inside their wheels, looked up without importing the library.
SAMPLES = (
    ("skimage", "data/astronaut.png"),
    ("skimage", "data/coffee.png"),
    ("sklearn", "datasets/images/china.jpg"),
    ("sklearn", "datasets/images/flower.jpg"),
    ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
)


@dataclass(frozen=True)
class Pictures:
    """A batch of photographs of one size.

    Attributes
    ----------
    batch : numpy.ndarray
        uint8, shape ``(n, h, w, 3)``, RGB.
    origin : str
        Where they come from, as a sentence fragment for the user.
    """

    batch: npt.NDArray[np.uint8]
    origin: str


def gather(paths: Sequence[Path], *, count: int, height: int, width: int) -> Pictures:
    """Decode ``paths`` (or the best sample there is) into ``count`` pictures of ``height`` x ``width``.

    Fewer pictures than ``count`` are repeated in turn; other sizes are scaled and centre-cropped.

    Parameters
    ----------
    paths : sequence of Path
        Image files in any format Pillow reads; empty for a sample.
    count, height, width : int
        Batch size, and picture size in pixels.

    Returns
    -------
    Pictures
        The batch and where it comes from.

    Raises
    ------
    OSError
        A named file is missing or is not an image.
    """
    if paths:
        images = [_decode(path, height, width) for path in paths]
        origin = f"{len(paths)} given: " + ", ".join(path.name for path in paths)
    elif samples := _samples():
        images = [_decode(path, height, width) for _, path in samples]
        origin = "sample photographs of " + ", ".join(f"{name} ({path.name})" for name, path in samples)
    else:
        images = [scene(height, width, seed) for seed in range(min(count, 4))]
        origin = "a generated scene (no file given, no installed library with a sample photograph)"
    batch = np.stack([images[i % len(images)] for i in range(max(count, len(images)))])
    return Pictures(np.ascontiguousarray(batch), origin)


def _decode(path: Path, height: int, width: int) -> npt.NDArray[np.uint8]:
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
        return np.asarray(ImageOps.fit(upright, (width, height), Image.Resampling.LANCZOS), dtype=np.uint8)


def _samples() -> list[tuple[str, Path]]:
    found = []
    for name, relative in SAMPLES:
        spec = importlib.util.find_spec(name)
        for root in (spec.submodule_search_locations or ()) if spec else ():
            path = Path(root) / relative
            if path.is_file():
                found.append((name, path))
    return found


def scene(height: int, width: int, seed: int) -> npt.NDArray[np.uint8]:
    """Draw hills under a sky: smooth gradients, edges and noise, as a photograph has.

    Parameters
    ----------
    height, width : int
        Size in pixels.
    seed : int
        Varies the sun, the hills and the grain.

    Returns
    -------
    numpy.ndarray
        uint8, shape ``(height, width, 3)``.
    """
    rng = np.random.default_rng(seed)
    v, u = np.meshgrid(np.linspace(0.0, 1.0, height), np.linspace(0.0, 1.0, width), indexing="ij")
    sky = np.stack([0.35 + 0.55 * v, 0.55 + 0.30 * v, 0.95 - 0.25 * v], axis=-1)
    sun_u, sun_v = rng.uniform(0.15, 0.85), rng.uniform(0.12, 0.3)
    distance = np.hypot((u - sun_u) * width / height, v - sun_v)
    glow = np.exp(-((distance / 0.12) ** 2))[..., None] * np.array([1.0, 0.85, 0.45])
    picture = sky + glow
    for layer in range(4):
        phase, steep = rng.uniform(0, 6.3), rng.uniform(0.03, 0.08)
        ridge = 0.45 + 0.13 * layer + steep * np.sin(u * (5 + 3 * layer) + phase) + 0.02 * np.sin(u * 31 + 2 * phase)
        shade = np.array([0.10, 0.34, 0.18]) * (1.25 - 0.22 * layer) + 0.06 * rng.random(3)
        picture = np.where((v > ridge)[..., None], shade * (1.3 - 0.5 * (v - ridge)[..., None]), picture)
    picture += rng.normal(0.0, 0.015, picture.shape)
    return np.asarray(np.clip(picture, 0.0, 1.0) * 255.0 + 0.5, dtype=np.uint8)
