"""A simulation that wgpu shows without a copy: glowing words in a wind, as frames side by side in a PNG.

`stencil3d` carries and spreads heat in a periodic block (many steps in one launch), `field_to_rgba` colours a slice of
it straight into a wgpu buffer, and wgpu draws from that buffer. Runs on the CPU device, or on a GPU:

    python wgpu_simulation.py [--on cuda:0] [--output FILE.png]     # cuda: needs CuPy
"""

import argparse
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import warpbridge as wb
from PIL import Image, ImageDraw, ImageFont
from warpbridge.adapters import wgpu as wbgpu

wbgpu.enable()  # before wgpu makes its instance: its buffers can then be shared
wgpu: Any = importlib.import_module("wgpu")

DEPTH, HEIGHT, WIDTH = (
    12,
    72,
    128,
)  # numbers on each axis; rows of 512 bytes, as copies to textures want multiples of 256
FRAMES, COLUMNS, STEPS = 8, 4, 16  # pictures, pictures per row, steps from one to the next
SCALE, GAP = 3, 6  # pixels per number, and between pictures

# Each pixel is mixed from the four colours around it; pixel 3 n + 1 is colour n itself.
SHADER = """
@group(0) @binding(0) var<storage, read> colours: array<u32>;

fn colour(at: vec2i) -> vec4f {
    let inside = clamp(at, vec2i(0), vec2i(WIDTH - 1, HEIGHT - 1));
    return unpack4x8unorm(colours[inside.y * WIDTH + inside.x]);
}

@vertex
fn corner(@builtin(vertex_index) number: u32) -> @builtin(position) vec4f {
    return vec4f(f32(number & 1) * 4.0 - 1.0, f32(number >> 1) * 4.0 - 1.0, 0.0, 1.0);
}

@fragment
fn pixel(@builtin(position) position: vec4f) -> @location(0) vec4f {
    let place = position.xy / SCALE - 0.5;
    let at = vec2i(floor(place));
    let part = fract(place);
    let above = mix(colour(at), colour(at + vec2i(1, 0)), part.x);
    let below = mix(colour(at + vec2i(0, 1)), colour(at + vec2i(1, 1)), part.x);
    return mix(above, below, part.y);
}
"""


class Screen:
    """Draws a buffer of rgba8 colours into a texture nobody sees."""

    def __init__(self, device: Any, colours: Any) -> None:
        self._device, self._colours = device, colours
        size = (WIDTH * SCALE, HEIGHT * SCALE, 1)
        usage = wgpu.TextureUsage.RENDER_ATTACHMENT | wgpu.TextureUsage.COPY_SRC
        self._target = device.create_texture(size=size, format="rgba8unorm", usage=usage)
        code = SHADER.replace("WIDTH", str(WIDTH)).replace("HEIGHT", str(HEIGHT)).replace("SCALE", f"{SCALE}.0")
        module = device.create_shader_module(code=code)
        self._pipeline = device.create_render_pipeline(
            layout="auto",
            vertex={"module": module, "entry_point": "corner"},
            fragment={"module": module, "entry_point": "pixel", "targets": [{"format": "rgba8unorm"}]},
        )
        entry = {"binding": 0, "resource": {"buffer": colours, "offset": 0, "size": colours.size}}
        self._group = device.create_bind_group(layout=self._pipeline.get_bind_group_layout(0), entries=[entry])

    def draw(self) -> np.ndarray:
        """Return the picture, (height, width, 4)."""
        encoder = self._device.create_command_encoder()
        attachment = {"view": self._target.create_view(), "load_op": "clear", "store_op": "store"}
        work = encoder.begin_render_pass(color_attachments=[attachment])
        work.set_pipeline(self._pipeline)
        work.set_bind_group(0, self._group)
        work.draw(3)  # one triangle that covers it all
        work.end()
        self._device.queue.submit([encoder.finish()])
        return self._read(self._target)

    def as_texture(self) -> np.ndarray:
        """Return the colours by way of a texture that they were copied to, on wgpu's side."""
        size = (WIDTH, HEIGHT, 1)
        usage = wgpu.TextureUsage.COPY_DST | wgpu.TextureUsage.COPY_SRC | wgpu.TextureUsage.TEXTURE_BINDING
        texture = self._device.create_texture(size=size, format="rgba8unorm", usage=usage)
        encoder = self._device.create_command_encoder()
        source = {"buffer": self._colours, "offset": 0, "bytes_per_row": WIDTH * 4, "rows_per_image": HEIGHT}
        encoder.copy_buffer_to_texture(source, {"texture": texture}, size)
        self._device.queue.submit([encoder.finish()])
        return self._read(texture)

    def _read(self, texture: Any) -> np.ndarray:
        layout = {"offset": 0, "bytes_per_row": texture.width * 4, "rows_per_image": texture.height}
        data = self._device.queue.read_texture({"texture": texture}, layout, texture.size)
        return np.frombuffer(data, np.uint8).reshape(texture.height, texture.width, 4)


def words() -> np.ndarray:
    """Return a cold block with hot words in it, (depth, height, width)."""
    picture = Image.new("L", (WIDTH, HEIGHT))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=34)
    draw.text((WIDTH // 2, 19), "warp", fill=255, font=font, anchor="mm")
    draw.text((WIDTH // 2, 51), "bridge", fill=255, font=font, anchor="mm")
    block = np.zeros((DEPTH, HEIGHT, WIDTH), np.float32)
    block[2:-2] = np.asarray(picture, np.float32) / 255
    return block


def weights() -> np.ndarray:
    """Return one step of wind and of heat that spreads: Lax and Wendroff's scheme along each axis, and a diffusion."""
    wind = np.array([0.0, -0.05, 0.12])  # numbers per step along z, y, x
    spread = np.array([0.01, 0.02, 0.02]) + wind**2 / 2
    along = np.stack([spread + wind / 2, -2 * spread, spread - wind / 2], axis=1)
    along[0, 1] += 1
    return along.astype(np.float32)


def palette() -> np.ndarray:
    """Return 256 colours from night over embers to white, (256, 4)."""
    stops = [(8, 6, 24), (60, 12, 84), (150, 28, 92), (226, 68, 48), (250, 150, 20), (255, 228, 120), (255, 255, 240)]
    at = np.linspace(0, len(stops) - 1, 256)
    channels = [np.interp(at, range(len(stops)), [stop[c] for stop in stops]) for c in range(3)]
    return np.stack([*channels, np.full(256, 255.0)], axis=1).round().astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--on", default="cpu", help="where kernels run: cpu, cuda:0 ...")
    parser.add_argument("--output", type=Path, default=Path("wgpu_simulation.png"))
    options = parser.parse_args()
    arrays = np if options.on == "cpu" else importlib.import_module("cupy")

    device = wgpu.gpu.request_adapter_sync(power_preference="high-performance").request_device_sync()
    usage = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_SRC | wgpu.BufferUsage.COPY_DST
    colours = wbgpu.share(device, shape=(HEIGHT, WIDTH, 4), dtype="uint8", usage=usage, on=options.on)
    screen = Screen(device, colours.buffer)

    field, star, table = (arrays.asarray(array) for array in (words(), weights(), palette()))
    frames = []
    for frame in range(FRAMES):
        if frame:
            field = wb.kernels.stencil3d(field, star, STEPS, 1)  # all steps are one launch
        wb.kernels.field_to_rgba(field[DEPTH // 2], table, 0.0, 1.0, out=colours)
        frames.append(screen.draw())
    print(f"{device.adapter.info['device']} draws, {colours.device} computes")
    print(f"transport: {colours.transport}; bytes copied between compute and render: {wbgpu.copied_bytes()}")
    print("by a texture: the same colours:", bool((screen.as_texture() == frames[-1][1::SCALE, 1::SCALE]).all()))

    sheet = Image.new("RGBA", (COLUMNS * (WIDTH * SCALE + GAP) - GAP, FRAMES // COLUMNS * (HEIGHT * SCALE + GAP) - GAP))
    for frame, picture in enumerate(frames):
        row, column = divmod(frame, COLUMNS)
        sheet.paste(Image.fromarray(picture), (column * (WIDTH * SCALE + GAP), row * (HEIGHT * SCALE + GAP)))
    sheet.save(options.output)
    print(f"{options.output}: {FRAMES} frames, {STEPS} steps apart")


if __name__ == "__main__":
    main()
