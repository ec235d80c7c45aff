"""Row kernels by one name: ``softmax(x)`` runs ``softmax_long`` where no thread block has room for a row of x.

A row of the plain kernels stays in one thread block's shared memory while it is gone over again. A longer one is
shared by many thread blocks, which need memory of their own to meet in: whose rows fit pays for none of that. Only the
choice is here; `forms.py` has the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .forms import Form, Forms
from .kernel import Kernel

SUFFIX = "_long"
"""A bundled kernel is such a kernel if there is one whose name has this behind its own."""

MOST_BYTES = {
    "softmax": 104 * 1024,
    "rms_norm": 104 * 1024,
    "rms_norm_quantised": 56 * 1024,
    "layer_norm": 64 * 1024,
}
"""Of a row that stays in one thread block. There is room for 216 KiB on Hopper, but that is one block per
multiprocessor, and weights leave their rows less (docs/notes/rows-speed.md)."""


class LongRows(Forms):
    """A kernel whose long rows are another's, in every call style."""

    def _form(self, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Form:
        return form_of_rows(self.__name__, self._kernel, self._names, args, dict(keywords))


def form_of_rows(
    name: str, kernel: Callable[[str], Kernel], names: tuple[str, ...], args: tuple[Any, ...], keywords: dict[str, Any]
) -> Form:
    """Return the kernel for rows of this length, None for the one that was called, and its arguments.

    Parameters
    ----------
    name, kernel, names
        The kernel's name, what returns one of a name, and the names of its inputs, of which the first has the rows.
    args, keywords
        The call's.
    """
    rows = args[0] if args else keywords.get(names[0])
    return kernel(name + SUFFIX) if row_bytes(rows) > MOST_BYTES[name] else None, args, keywords


def row_bytes(array: Any) -> int:
    """Return the bytes of the last axis; 0 for what does not say, and what is no array is refused by the kernel."""
    shape, dtype = getattr(array, "shape", None), getattr(array, "dtype", None)
    item, length = getattr(dtype, "itemsize", None), shape[-1] if shape else None
    return item * length if isinstance(item, int) and isinstance(length, int) else 0
