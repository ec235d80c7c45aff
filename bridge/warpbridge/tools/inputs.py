"""Arguments made up from a kernel's manifest, for the tools that run a kernel nobody has called: `check` and `trace`.

Arrays hold random numbers from a seed; where NumPy lacks one of the types, all are arrays of our own. Shape symbols get
sizes that give each array about as many elements as asked for; ``sizes`` overrides them, and gives scalars their
values. Outputs and optional arrays are left out.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from warpbridge.array import Array, empty
from warpbridge.buffer import DTYPES
from warpbridge.errors import ArgumentError

if TYPE_CHECKING:
    from warpbridge.kernel import Kernel

_NODES = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.Call, ast.Name, ast.Load, ast.Constant,
    ast.operator, ast.unaryop, ast.boolop, ast.cmpop,
)  # fmt: skip
_BFLOAT16, _FLOAT8, _FLOAT8_NAN = "bfloat16", "float8_e4m3fn", 0x7F
# Bundled kernels whose manifests tie sizes to each other or to limits, which cannot be guessed; by dtype where they do.
_SIZES: dict[str, dict[str, float]] = {
    "dequant_matvec": {"c": 512, "k": 1024, "groups": 8, "b": 1},
    "dequant_matvec W=int8": {"c": 1024},
    "fft_frames": {"l": 1024, "hop": 512},
    "field_to_rgba": {"k": 256, "vmin": -2.0, "vmax": 2.0},
    "field_to_rgba_own_range": {"k": 256},
    "gather_rows": {"n": 1000},
    "spectral_multiply": {"k": 1},
    "stencil3d": {"taps": 3, "steps": 4},
}
_FUNCTIONS: dict[str, Callable[..., int]] = {
    "min": min,
    "max": max,
    "ceil_div": lambda a, b: -(-a // b),
    "align_up": lambda a, b: -(-a // b) * b,
    "next_pow2": lambda a: 1 << max(a - 1, 0).bit_length(),
}


def make(
    kernel: Kernel,
    sizes: Mapping[str, float] | None = None,
    *,
    elements: int = 100_000,
    dtypes: Mapping[str, str] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Return keyword arguments for a call of `kernel` on the CPU device.

    Parameters
    ----------
    kernel
        Any kernel with a manifest.
    sizes
        Values of shape symbols and scalars.
    elements
        About how many each array has whose symbols are not in `sizes`.
    dtypes
        Instance of each dtype variable; default: the first that NumPy has, else the first.
    seed
        For the numbers.

    Raises
    ------
    ArgumentError
        A size is unknown to the manifest, or a shape or dtype cannot be made up.
    """
    return _Maker(kernel, dict(sizes or {}), elements, dict(dtypes or {}), seed).arguments()


class _Maker:
    def __init__(
        self, kernel: Kernel, sizes: dict[str, float], elements: int, dtypes: dict[str, str], seed: int
    ) -> None:
        self._name = kernel.__name__
        self._args = [dict(a) for a in kernel.manifest["args"]]
        self._variables: Mapping[str, list[str]] = kernel.manifest.get("dtypes") or {}
        self._scalars = {a["name"] for a in self._args if a["kind"] == "scalar"}
        self._elements, self._dtypes = elements, dtypes
        self._random = np.random.default_rng(seed)
        known = self._check(sizes)
        self._values: dict[str, float] = {}
        for key in (self._name, *(f"{self._name} {name}={instance}" for name, instance in dtypes.items())):
            self._values.update({name: size for name, size in _SIZES.get(key, {}).items() if name in known})
        self._values.update(sizes)

    def arguments(self) -> dict[str, Any]:
        made: dict[str, Any] = {}
        arrays = [a for a in self._args if a["kind"] == "array"]
        for argument in self._args:
            if argument["kind"] == "scalar" and (argument["name"] in self._values or argument.get("default") is None):
                made[argument["name"]] = self._values.setdefault(argument["name"], _scalar(argument))
        for argument in arrays:
            if argument.get("intent") != "out" and not argument.get("optional"):
                made[argument["name"]] = self._array(argument)
        if not all(_is_numpys(self._instance(a["dtype"], a["name"])) for a in arrays):
            # Outputs are made by the first array's library, and NumPy could not make these.
            made = {name: _own(item) if isinstance(item, np.ndarray) else item for name, item in made.items()}
        free = [v for v in self._variables if all(v != a.get("dtype") or a.get("intent") == "out" for a in self._args)]
        if free and free[0] in self._dtypes:
            made["dtype"] = self._dtypes[free[0]]
        return made

    def _check(self, sizes: Mapping[str, float]) -> set[str]:
        """Return the names that sizes may have."""
        known = self._scalars | {s for a in self._args for item in a.get("shape", ()) for s in _symbols(item)}
        wrong = sorted(set(sizes) - known)
        if wrong:
            raise ArgumentError(
                f"{self._name}: size {wrong[0]!r} is given, expected one of: {', '.join(sorted(known))}",
                kernel=self._name,
                argument=wrong[0],
            )
        for name, size in sizes.items():
            if name not in self._scalars and not (size >= 0 and (isinstance(size, int) or size.is_integer())):
                raise ArgumentError(
                    f"{self._name}: size {name} is {size}, expected a whole number from 0",
                    kernel=self._name,
                    argument=name,
                    found=size,
                )
        return known

    def _array(self, argument: Mapping[str, Any]) -> Any:
        shape = self._shape(argument)
        instance = self._instance(str(argument["dtype"]), str(argument["name"]))
        if instance == _BFLOAT16:
            return bfloat16(self._random.standard_normal(shape))
        if instance == _FLOAT8:
            return _float8(self._random.integers(0, _FLOAT8_NAN, shape, np.uint8))
        dtype = np.dtype(instance)
        if argument.get("inline"):
            return [0.5 + place / 8 for place in range(int(np.prod(shape)))]
        if dtype.kind == "f":
            return self._random.standard_normal(shape).astype(dtype)
        if dtype.kind == "c":
            return (self._random.standard_normal(shape) + 1j * self._random.standard_normal(shape)).astype(dtype)
        # Wider integers are mostly indexes: those of the smallest axis fit wherever they point.
        axes = [int(v) for name, v in self._values.items() if name not in self._scalars] or [2]
        limit = 2 if dtype.kind == "b" else int(np.iinfo(dtype).max) + 1 if dtype.itemsize == 1 else min(axes)
        return self._random.integers(0, max(limit, 1), shape).astype(dtype)

    def _shape(self, argument: Mapping[str, Any]) -> tuple[int, ...]:
        items = [str(item) for item in argument["shape"]]
        symbols = [item.removesuffix("...") for item in items if re.fullmatch(r"[A-Za-z_]\w*(\.\.\.)?", item)]
        free = [symbol for symbol in dict.fromkeys(symbols) if symbol not in self._values]
        if free:
            known = 1.0
            for item in items:
                if item.isdigit() or item.removesuffix("...") in self._values:
                    known *= float(self._values.get(item.removesuffix("..."), 0) or item)
            side = max(1, round((self._elements / known) ** (1 / len(free))))
            self._values.update(dict.fromkeys(free, side))
        return tuple(self._evaluate(item.removesuffix("..."), argument["name"]) for item in items)

    def _evaluate(self, expression: str, argument: str) -> int:
        """Compute one item of a shape; the manifest's expressions are a part of Python's."""
        names: dict[str, Any] = {**self._values, **_FUNCTIONS}
        names["itemsize"] = lambda dtype: dtype.itemsize
        names.update({variable: _stored(self._instance(variable, argument)) for variable in self._variables})
        tree = ast.parse(expression, mode="eval")
        try:
            if all(isinstance(node, _NODES) for node in ast.walk(tree)):
                return int(eval(compile(tree, "<shape>", "eval"), {"__builtins__": {}}, names))
        except (ArithmeticError, NameError, TypeError, ValueError):
            pass
        raise ArgumentError(
            f"{self._name}: the shape of {argument} has {expression!r}, which is not known; give its symbols sizes",
            kernel=self._name,
            argument=argument,
        )

    def _instance(self, name: str, argument: str) -> str:
        """Return the first instance that NumPy has, else the first that can be stored as numbers that NumPy has."""
        instances = [self._dtypes[name]] if name in self._dtypes else list(self._variables.get(name, [name]))
        for instance in sorted(instances, key=lambda item: not _is_numpys(item)):
            if _is_numpys(instance) or instance in DTYPES:
                return instance
        raise ArgumentError(
            f"{self._name}: {argument} is {' or '.join(instances)}, expected bfloat16 or a dtype that NumPy has",
            kernel=self._name,
            argument=argument,
        )


def bfloat16(values: np.ndarray[Any, Any]) -> Array:
    """Return the values, finite ones, rounded to bfloat16, in an array of our own: NumPy has no such type."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32).astype(np.uint64)
    made = empty(values.shape, _BFLOAT16)
    made.frombytes(((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16).tobytes())
    return made


def _is_numpys(dtype: str) -> bool:
    """Whether NumPy has the type without help."""
    return dtype in DTYPES and dtype not in (_BFLOAT16, _FLOAT8)


def _stored(dtype: str) -> np.dtype[Any]:
    """Return a type of NumPy's with the same size."""
    return np.dtype({_BFLOAT16: "uint16", _FLOAT8: "uint8"}.get(dtype, dtype))


def _float8(bits: np.ndarray[Any, Any]) -> Array:
    made = empty(bits.shape, _FLOAT8)
    made.frombytes(bits.tobytes())
    return made


def _own(values: np.ndarray[Any, Any]) -> Array:
    """Return the same values in an array of our own, so that outputs are such arrays too."""
    made = empty(values.shape, values.dtype.name)
    made.frombytes(values.tobytes())
    return made


def _symbols(item: Any) -> Iterable[str]:
    return (word for word in re.findall(r"[A-Za-z_]\w*", str(item)) if word not in {*_FUNCTIONS, "itemsize"})


def _scalar(argument: Mapping[str, Any]) -> float:
    """Choose a value inside the range that the manifest gives."""
    value: float = 1.5 if "float" in argument["dtype"] else 2
    low, high = argument.get("min"), argument.get("max")
    if isinstance(low, int | float):
        value = max(value, low)
    if isinstance(high, int | float):
        value = min(value, high)
    return value
