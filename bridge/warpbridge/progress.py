"""`progress=True`: how far a blocking call is, as a bar of tqdm where that is installed, else as a line on stderr.

The share comes from the kernel's control block; a kernel that reports none stays at 0 until it ends.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from . import lazy

_STEPS = 1000
_LINE_EVERY_S = 0.5


class Bar:
    """What a waiting call shows; `show` is called every few milliseconds, `close` once.

    Parameters
    ----------
    title
        The kernel's name.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._shown = 0
        self._next_line = time.monotonic() + _LINE_EVERY_S
        self._bar: Any = None
        try:
            tqdm = lazy.load("tqdm").tqdm
        except ImportError:
            return
        self._bar = tqdm(total=_STEPS, desc=title, bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}")

    def show(self, share: float) -> None:
        """Show a share in [0, 1]; it never goes back."""
        done = int(share * _STEPS)
        if self._bar is not None:
            self._bar.update(max(done - self._shown, 0))
        elif time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _LINE_EVERY_S
            print(f"{self._title}: {share:.0%}", file=sys.stderr)
        self._shown = max(done, self._shown)

    def close(self, finished: bool) -> None:
        """End the display, at the full share if the kernel has finished."""
        if self._bar is None:
            print(f"{self._title}: {'100%' if finished else 'stopped'}", file=sys.stderr)
            return
        if finished:
            self.show(1.0)
        self._bar.close()
