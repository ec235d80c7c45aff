"""One kernel, three ways to call it: blocking, with a callback, stream-ordered."""

import threading

import numpy as np
import warpbridge as wb

rng = np.random.default_rng(0)
x = rng.standard_normal(100_003, dtype=np.float32)
scale = wb.kernels.scale

y = scale(x, 3.0, -1.0, timeout=10.0)
print("blocking:      ", y[:3])

ready = threading.Event()
pending = scale.submit(x, 3.0, -1.0, on_done=lambda p: ready.set())
ready.wait()
print("callback:      ", pending.result()[:3], "progress", pending.progress)

stream = wb.device("cpu").stream()
y = scale.launch(x, 3.0, 0.0, stream=stream)
z = scale.launch(y, 1.0, -1.0, stream=stream)
stream.synchronize()
print("stream-ordered:", z[:3])
