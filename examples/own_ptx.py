"""PTX of your own as a function: saxpy.ptx and the manifest beside it."""

from pathlib import Path

import numpy as np
import warpbridge as wb

saxpy = wb.load(Path(__file__).with_name("saxpy.ptx")).kernels["saxpy"]
x = np.linspace(0.0, 1.0, 10_000, dtype=np.float32)
y = np.ones_like(x)

saxpy(x, y, 2.0)
print(f"{saxpy.__name__}{saxpy.__signature__}")
print("largest error:", float(np.abs(y - (2 * x + 1)).max()))

try:
    saxpy(x.astype(np.float64), y, 2.0)
except wb.ArgumentError as error:
    print("refused:", error)
