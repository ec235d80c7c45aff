# What type checkers see: the functions return views, a type of the layer above that the adapter must not import.
# tests/test_wgpu_enable.py compares it with __init__.py.

from collections.abc import Sequence
from typing import Any, Literal

from warpbridge import Device, View

__all__ = ["copied_bytes", "enable", "share", "view"]

TRANSPORTS: tuple[str, ...]

def copied_bytes() -> int: ...
def enable() -> None: ...
def view(
    buffer: Any,
    *,
    dtype: Any,
    shape: int | Sequence[int] | None = None,
    offset: int = 0,
    require: Literal["shared", "pinned", "staged"] | None = None,
    on: str | Device | None = None,
) -> View: ...
def share(
    device: Any,
    *,
    size: int | None = None,
    usage: int | str,
    dtype: Any = "uint8",
    shape: int | Sequence[int] | None = None,
    label: str = "",
    require: Literal["shared", "pinned", "staged"] | None = None,
    on: str | Device | None = None,
) -> View: ...
def claim(obj: Any) -> None: ...
