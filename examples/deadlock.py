"""What a kernel whose roles wait for each other looks like from outside: an error, not a hang."""

import numpy as np
import warpbridge as wb

x = np.ones(1024, dtype=np.float32)
try:
    wb.kernels.deadlock_demo(x, timeout=2.0)
except wb.DeadlockError as error:
    print(error)
    for wait in error.waits:
        print("->", wait)
