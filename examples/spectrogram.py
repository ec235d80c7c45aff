"""A spectrogram on one stream: frames, cuFFT, power in decibel, colours. Without a GPU, NumPy's FFT stands in."""

from collections.abc import Callable
from typing import Any

import numpy as np
import warpbridge as wb
from PIL import Image

SAMPLES, LENGTH, HOP, AVERAGE = 1 << 18, 1024, 512, 2
LOW_DB, HIGH_DB = -90.0, -20.0


def received() -> np.ndarray:
    """Return int16 pairs: a tone that sweeps from -0.4 to 0.4 of the rate, a weak one that is keyed, and noise."""
    rng = np.random.default_rng(0)
    time = np.arange(SAMPLES)
    sweep = np.exp(2j * np.pi * (-0.4 * time + 0.4 * time**2 / SAMPLES))
    keyed = 0.05 * np.exp(0.5j * np.pi * time) * (time // 20_000 % 2)
    noise = 0.01 * (rng.standard_normal(SAMPLES) + 1j * rng.standard_normal(SAMPLES))
    signal = 0.5 * (sweep + keyed + noise)
    return np.rint(32_767 * np.stack([signal.real, signal.imag], axis=-1)).astype(np.int16)


def palette() -> np.ndarray:
    """Return 256 colours from black over red and yellow to white."""
    ramp = np.linspace(0, 3, 256)
    return (255 * np.stack([np.clip(ramp - i, 0, 1) for i in range(3)] + [np.ones(256)], axis=-1)).astype(np.uint8)


def spectrogram(iq: Any, window: Any, lut: Any, fft: Callable[[Any], Any], run: Callable[..., Any]) -> tuple[Any, Any]:
    """Return power in decibel and its picture; ``run(kernel, *arguments)`` launches, ``fft`` is the library's."""
    frames = run(wb.kernels.fft_frames, iq, window, HOP, 1 / 32_768)
    power = run(wb.kernels.fft_power, fft(frames), AVERAGE, 1 / LENGTH**2, True)
    return power, run(wb.kernels.field_to_rgba, power, lut, LOW_DB, HIGH_DB)


def on_the_gpu(*arrays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Queue everything on one stream, and wait once, at the end."""
    import cupy

    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:  # cuFFT takes CuPy's current stream
        on_device = map(cupy.asarray, arrays)
        results = spectrogram(*on_device, cupy.fft.fft, lambda kernel, *args: kernel.launch(*args, stream=stream))
        power, picture = (result.get(stream=stream, blocking=False) for result in results)
    stream.synchronize()
    return power, picture


def on_the_cpu_device(*arrays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Call the same kernels, one after the other."""
    return spectrogram(
        *arrays, lambda frames: np.fft.fft(frames).astype(np.complex64), lambda kernel, *args: kernel(*args)
    )


is_gpu = len(wb.devices()) > 1
window = np.hanning(LENGTH).astype(np.float32)
power, picture = (on_the_gpu if is_gpu else on_the_cpu_device)(received(), window, palette())
rows = len(power)
middle = HOP * (AVERAGE * np.arange(rows) + (AVERAGE - 1) / 2) + LENGTH / 2
expected = (-0.4 + 0.8 * middle / SAMPLES) * LENGTH % LENGTH
off = np.abs((power.argmax(axis=1) - expected + LENGTH / 2) % LENGTH - LENGTH / 2)
device = "gpu" if is_gpu else "cpu"
print(f"{device}: {rows} rows of {LENGTH}, {power.max():.1f} dB at most, the sweep is off by {off.max():.1f} bins")
assert off.max() < 3
Image.fromarray(np.roll(picture, LENGTH // 2, axis=1)).save("spectrogram.png")
print(f"spectrogram.png: {picture.shape[1]} x {picture.shape[0]}")
