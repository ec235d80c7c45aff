"""A field on a pygfx mesh: a kernel colours it into a shared wgpu buffer, wgpu copies that into the mesh's texture.

No byte of it crosses to the host. Tried by hand with pygfx 0.17 (`pip install pygfx`), on lavapipe and the CPU device.

    python pygfx_field.py [--on cuda:0] [--output FILE.png]     # cuda: needs CuPy
"""

import argparse
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import warpbridge as wb
from PIL import Image
from warpbridge.adapters import wgpu as wbgpu

wbgpu.enable()  # before pygfx, which makes wgpu's instance
gfx: Any = importlib.import_module("pygfx")
wgpu: Any = importlib.import_module("wgpu")
engine: Any = importlib.import_module("pygfx.renderers.wgpu.engine.update")
offscreen: Any = importlib.import_module("rendercanvas.offscreen")

SIZE = 128  # numbers on each axis of the slice; rows of 512 bytes
DEPTH, STEPS = 12, 60


def spots() -> np.ndarray:
    """Return hot and cold spots, (DEPTH, SIZE, SIZE)."""
    rng = np.random.default_rng(3)
    block = np.zeros((DEPTH, SIZE, SIZE), np.float32)
    block[:, rng.integers(0, SIZE, 90), rng.integers(0, SIZE, 90)] = 40 * rng.choice([-1, 1], 90)
    return block


def palette() -> np.ndarray:
    """Return 256 colours from cold to hot, (256, 4)."""
    stops = [(20, 30, 120), (40, 150, 220), (240, 240, 235), (240, 140, 40), (140, 10, 30)]
    at = np.linspace(0, len(stops) - 1, 256)
    channels = [np.interp(at, range(len(stops)), [stop[c] for stop in stops]) for c in range(3)]
    return np.stack([*channels, np.full(256, 255.0)], axis=1).round().astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--on", default="cpu", help="where kernels run: cpu, cuda:0 ...")
    parser.add_argument("--output", type=Path, default=Path("pygfx_field.png"))
    options = parser.parse_args()
    arrays = np if options.on == "cpu" else importlib.import_module("cupy")

    canvas = offscreen.OffscreenRenderCanvas(size=(720, 540), pixel_ratio=1)
    renderer = gfx.renderers.WgpuRenderer(canvas)
    usage = wgpu.TextureUsage.COPY_DST | wgpu.TextureUsage.TEXTURE_BINDING
    texture = gfx.Texture(size=(SIZE, SIZE, 1), dim=2, format="rgba8unorm", usage=usage)
    knot = gfx.Mesh(gfx.torus_knot_geometry(1, 0.34, 300, 40), gfx.MeshPhongMaterial(map=texture, shininess=60))
    scene = gfx.Scene()
    scene.add(gfx.Background.from_color("#12141c", "#2b3040"), gfx.AmbientLight(intensity=0.7))
    camera = gfx.PerspectiveCamera(45, 4 / 3)
    camera.add(gfx.DirectionalLight(intensity=2.5))
    scene.add(knot, camera)
    camera.show_object(knot, view_dir=(-0.3, -0.4, -1), scale=1.1)

    device = renderer.device
    usage = wgpu.BufferUsage.COPY_SRC | wgpu.BufferUsage.COPY_DST
    colours = wbgpu.share(device, shape=(SIZE, SIZE, 4), dtype="uint8", usage=usage, on=options.on)
    star = arrays.asarray([[0.05, -0.1, 0.05], [0.12, -0.24, 0.12], [0.12, 0.76, 0.12]], dtype=np.float32)
    field = wb.kernels.stencil3d(arrays.asarray(spots()), star, STEPS, 1)
    wb.kernels.field_to_rgba(field[DEPTH // 2], arrays.asarray(palette()), -1.0, 1.0, out=colours)

    encoder = device.create_command_encoder()
    source = {"buffer": colours.buffer, "offset": 0, "bytes_per_row": SIZE * 4, "rows_per_image": SIZE}
    target = {"texture": engine.ensure_wgpu_object(texture)}
    encoder.copy_buffer_to_texture(source, target, (SIZE, SIZE, 1))
    device.queue.submit([encoder.finish()])

    canvas.request_draw(lambda: renderer.render(scene, camera))
    Image.fromarray(np.asarray(canvas.draw())).save(options.output)
    print(f"transport: {colours.transport}; bytes copied between compute and render: {wbgpu.copied_bytes()}")


if __name__ == "__main__":
    main()
