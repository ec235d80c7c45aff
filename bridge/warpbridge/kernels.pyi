# Signatures of the bundled kernels, for type checkers: written by kernels/stubs.py from the manifests.

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

import numpy as np

from .bound import Bound
from .kernel import Kernel
from .pending import Pending

A = TypeVar("A")
_Done = Callable[[Future[Any]], object]
_Int = int | np.integer[Any]
_Float = float | np.floating[Any] | np.integer[Any]
_Numbers = Sequence[_Float]

class _CrossEntropy(Kernel):
    def __call__(
        self,
        x: A,
        target: A,
        ignore_index: _Int = ...,
        *,
        out: A | None = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> A: ...
    def submit(
        self,
        x: A,
        target: A,
        ignore_index: _Int = ...,
        *,
        out: A | None = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
        on_done: _Done | None = ...,
    ) -> Pending: ...
    def launch(
        self,
        x: A,
        target: A,
        ignore_index: _Int = ...,
        *,
        out: A | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> A: ...
    def bind(
        self, x: A, target: A, ignore_index: _Int = ..., *, out: A | None = ..., arch: str | None = ...
    ) -> Bound: ...

class _DequantMatvec(Kernel):
    def __call__(
        self,
        w: A,
        scales: A,
        x: A,
        zeros: A | None = ...,
        *,
        out: A | None = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> A: ...
    def submit(
        self,
        w: A,
        scales: A,
        x: A,
        zeros: A | None = ...,
        *,
        out: A | None = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
        on_done: _Done | None = ...,
    ) -> Pending: ...
    def launch(
        self,
        w: A,
        scales: A,
        x: A,
        zeros: A | None = ...,
        *,
        out: A | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> A: ...
    def bind(
        self, w: A, scales: A, x: A, zeros: A | None = ..., *, out: A | None = ..., arch: str | None = ...
    ) -> Bound: ...

class _FftFrames(Kernel):
    def __call__(
        self,
        x: A,
        window: A,
        hop: _Int,
        scale: _Float = ...,
        *,
        out: A | None = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> A: ...
    def submit(
        self,
        x: A,
        window: A,
        hop: _Int,
        scale: _Float = ...,
        *,
        out: A | None = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
        on_done: _Done | None = ...,
    ) -> Pending: ...
    def launch(
        self,
        x: A,
        window: A,
        hop: _Int,
        scale: _Float = ...,
        *,
        out: A | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> A: ...
    def bind(
        self, x: A, window: A, hop: _Int, scale: _Float = ..., *, out: A | None = ..., arch: str | None = ...
    ) -> Bound: ...

class _FftPower(Kernel):
    def __call__(
        self,
        x: A,
        average: _Int = ...,
        scale: _Float = ...,
        decibel: _Int = ...,
        *,
        out: A | None = ...,
        dtype: Any = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> A: ...
    def submit(
        self,
        x: A,
        average: _Int = ...,
        scale: _Float = ...,
        decibel: _Int = ...,
        *,
        out: A | None = ...,
        dtype: Any = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
        on_done: _Done | None = ...,
    ) -> Pending: ...
    def launch(
        self,
        x: A,
        average: _Int = ...,
        scale: _Float = ...,
        decibel: _Int = ...,
        *,
        out: A | None = ...,
        dtype: Any = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> A: ...
    def bind(
        self,
        x: A,
        average: _Int = ...,
        scale: _Float = ...,
        decibel: _Int = ...,
        *,
        out: A | None = ...,
        dtype: Any = ...,
        arch: str | None = ...,
    ) -> Bound: ...

class _FieldToRgba(Kernel):
    def __call__(
        self,
        x: A,
        lut: A,
        vmin: _Float | None = ...,
        vmax: _Float | None = ...,
        nan: _Int = ...,
        *,
        out: A | None = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> A: ...
    def submit(
        self,
        x: A,
        lut: A,
        vmin: _Float | None = ...,
        vmax: _Float | None = ...,
        nan: _Int = ...,
        *,
        out: A | None = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
        on_done: _Done | None = ...,
    ) -> Pending: ...
    def launch(
        self,
        x: A,
        lut: A,
        vmin: _Float | None = ...,
        vmax: _Float | None = ...,
        nan: _Int = ...,
        *,
        out: A | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> A: ...
    def bind(
        self,
        x: A,
        lut: A,
        vmin: _Float | None = ...,
        vmax: _Float | None = ...,
        nan: _Int = ...,
        *,
        out: A | None = ...,
        arch: str | None = ...,
    ) -> Bound: ...

class _FieldToRgbaOwnRange(Kernel):
    def __call__(
        self,
        x: A,
        lut: A,
        vmin: _Float | None = ...,
        vmax: _Float | None = ...,
        nan: _Int = ...,
        *,
        out: A | None = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> A: ...
    def submit(
        self,
        x: A,
        lut: A,
        vmin: _Float | None = ...,
        vmax: _Float | None = ...,
        nan: _Int = ...,
        *,
        out: A | None = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
        on_done: _Done | None = ...,
    ) -> Pending: ...
    def launch(
        self,
        x: A,
        lut: A,
        vmin: _Float | None = ...,
        vmax: _Float | None = ...,
        nan: _Int = ...,
        *,
        out: A | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> A: ...
    def bind(
        self,
        x: A,
        lut: A,
        vmin: _Float | None = ...,
        vmax: _Float | None = ...,
        nan: _Int = ...,
        *,
        out: A | None = ...,
        arch: str | None = ...,
    ) -> Bound: ...

class _GatherRows(Kernel):
    def __call__(
        self,
        src: A,
        idx: A,
        scale: _Float = ...,
        *,
        out: A | None = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> A: ...
    def submit(
        self,
        src: A,
        idx: A,
        scale: _Float = ...,
        *,
        out: A | None = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
        on_done: _Done | None = ...,
    ) -> Pending: ...
    def launch(
        self, src: A, idx: A, scale: _Float = ..., *, out: A | None = ..., stream: Any = ..., arch: str | None = ...
    ) -> A: ...
    def bind(self, src: A, idx: A, scale: _Float = ..., *, out: A | None = ..., arch: str | None = ...) -> Bound: ...

class _ImagePrep(Kernel):
    def __call__(
        self,
        x: A,
        mean: A | _Numbers,
        std: A | _Numbers,
        offsets: A | None = ...,
        mirror: A | None = ...,
        oh: _Int | None = ...,
        ow: _Int | None = ...,
        *,
        out: A | None = ...,
        dtype: Any = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> A: ...
    def submit(
        self,
        x: A,
        mean: A | _Numbers,
        std: A | _Numbers,
        offsets: A | None = ...,
        mirror: A | None = ...,
        oh: _Int | None = ...,
        ow: _Int | None = ...,
        *,
        out: A | None = ...,
        dtype: Any = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
        on_done: _Done | None = ...,
    ) -> Pending: ...
    def launch(
        self,
        x: A,
        mean: A | _Numbers,
        std: A | _Numbers,
        offsets: A | None = ...,
        mirror: A | None = ...,
        oh: _Int | None = ...,
        ow: _Int | None = ...,
        *,
        out: A | None = ...,
        dtype: Any = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> A: ...
    def bind(
        self,
        x: A,
        mean: A | _Numbers,
        std: A | _Numbers,
        offsets: A | None = ...,
        mirror: A | None = ...,
        oh: _Int | None = ...,
        ow: _Int | None = ...,
        *,
        out: A | None = ...,
        dtype: Any = ...,
        arch: str | None = ...,
    ) -> Bound: ...

class _ImageResize(Kernel):
    def __call__(
        self,
        x: A,
        mean: A | _Numbers,
        std: A | _Numbers,
        boxes: A | None = ...,
        mirror: A | None = ...,
        oh: _Int | None = ...,
        ow: _Int | None = ...,
        *,
        out: A | None = ...,
        dtype: Any = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> A: ...
    def submit(
        self,
        x: A,
        mean: A | _Numbers,
        std: A | _Numbers,
        boxes: A | None = ...,
        mirror: A | None = ...,
        oh: _Int | None = ...,
        ow: _Int | None = ...,
        *,
        out: A | None = ...,
        dtype: Any = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
        on_done: _Done | None = ...,
    ) -> Pending: ...
    def launch(
        self,
        x: A,
        mean: A | _Numbers,
        std: A | _Numbers,
        boxes: A | None = ...,
        mirror: A | None = ...,
        oh: _Int | None = ...,
        ow: _Int | None = ...,
        *,
        out: A | None = ...,
        dtype: Any = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> A: ...
    def bind(
        self,
        x: A,
        mean: A | _Numbers,
        std: A | _Numbers,
        boxes: A | None = ...,
        mirror: A | None = ...,
        oh: _Int | None = ...,
        ow: _Int | None = ...,
        *,
        out: A | None = ...,
        dtype: Any = ...,
        arch: str | None = ...,
    ) -> Bound: ...

class _LayerNorm(Kernel):
    def __call__(
        self,
        x: A,
        weight: A | None = ...,
        bias: A | None = ...,
        eps: _Float = ...,
        *,
        residual: A | None = ...,
        quantise: Any = ...,
        scale: A | None = ...,
        out: Any = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> Any: ...
    def submit(
        self,
        x: A,
        weight: A | None = ...,
        bias: A | None = ...,
        eps: _Float = ...,
        *,
        residual: A | None = ...,
        quantise: Any = ...,
        scale: A | None = ...,
        out: Any = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
        on_done: _Done | None = ...,
    ) -> Pending: ...
    def launch(
        self,
        x: A,
        weight: A | None = ...,
        bias: A | None = ...,
        eps: _Float = ...,
        *,
        residual: A | None = ...,
        quantise: Any = ...,
        scale: A | None = ...,
        out: Any = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> Any: ...
    def bind(
        self,
        x: A,
        weight: A | None = ...,
        bias: A | None = ...,
        eps: _Float = ...,
        *,
        residual: A | None = ...,
        quantise: Any = ...,
        scale: A | None = ...,
        out: Any = ...,
        arch: str | None = ...,
    ) -> Bound: ...

class _LayerNormLong(Kernel):
    def __call__(
        self,
        x: A,
        weight: A | None = ...,
        bias: A | None = ...,
        eps: _Float = ...,
        *,
        out: A | None = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> A: ...
    def submit(
        self,
        x: A,
        weight: A | None = ...,
        bias: A | None = ...,
        eps: _Float = ...,
        *,
        out: A | None = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
        on_done: _Done | None = ...,
    ) -> Pending: ...
    def launch(
        self,
        x: A,
        weight: A | None = ...,
        bias: A | None = ...,
        eps: _Float = ...,
        *,
        out: A | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> A: ...
    def bind(
        self,
        x: A,
        weight: A | None = ...,
        bias: A | None = ...,
        eps: _Float = ...,
        *,
        out: A | None = ...,
        arch: str | None = ...,
    ) -> Bound: ...

class _LayerNormQuantised(Kernel):
    def __call__(
        self,
        x: A,
        weight: A | None = ...,
        bias: A | None = ...,
        scale: A | None = ...,
        eps: _Float = ...,
        *,
        out: tuple[A, A] | None = ...,
        dtype: Any = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> tuple[A, A]: ...
    def submit(
        self,
        x: A,
        weight: A | None = ...,
        bias: A | None = ...,
        scale: A | None = ...,
        eps: _Float = ...,
        *,
        out: tuple[A, A] | None = ...,
        dtype: Any = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
        on_done: _Done | None = ...,
    ) -> Pending: ...
    def launch(
        self,
        x: A,
        weight: A | None = ...,
        bias: A | None = ...,
        scale: A | None = ...,
        eps: _Float = ...,
        *,
        out: tuple[A, A] | None = ...,
        dtype: Any = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> tuple[A, A]: ...
    def bind(
        self,
        x: A,
        weight: A | None = ...,
        bias: A | None = ...,
        scale: A | None = ...,
        eps: _Float = ...,
        *,
        out: tuple[A, A] | None = ...,
        dtype: Any = ...,
        arch: str | None = ...,
    ) -> Bound: ...

class _LayerNormResidual(Kernel):
    def __call__(
        self,
        x: A,
        residual: A,
        weight: A | None = ...,
        bias: A | None = ...,
        eps: _Float = ...,
        *,
        out: tuple[A, A] | None = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> tuple[A, A]: ...
    def submit(
        self,
        x: A,
        residual: A,
        weight: A | None = ...,
        bias: A | None = ...,
        eps: _Float = ...,
        *,
        out: tuple[A, A] | None = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
        on_done: _Done | None = ...,
    ) -> Pending: ...
    def launch(
        self,
        x: A,
        residual: A,
        weight: A | None = ...,
        bias: A | None = ...,
        eps: _Float = ...,
        *,
        out: tuple[A, A] | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> tuple[A, A]: ...
    def bind(
        self,
        x: A,
        residual: A,
        weight: A | None = ...,
        bias: A | None = ...,
        eps: _Float = ...,
        *,
        out: tuple[A, A] | None = ...,
        arch: str | None = ...,
    ) -> Bound: ...

class _LayerNormResidualQuantised(Kernel):
    def __call__(
        self,
        x: A,
        residual: A,
        weight: A | None = ...,
        bias: A | None = ...,
        scale: A | None = ...,
        eps: _Float = ...,
        *,
        out: tuple[A, A, A] | None = ...,
        dtype: Any = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> tuple[A, A, A]: ...
    def submit(
        self,
        x: A,
        residual: A,
        weight: A | None = ...,
        bias: A | None = ...,
        scale: A | None = ...,
        eps: _Float = ...,
        *,
        out: tuple[A, A, A] | None = ...,
        dtype: Any = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
        on_done: _Done | None = ...,
    ) -> Pending: ...
    def launch(
        self,
        x: A,
        residual: A,
        weight: A | None = ...,
        bias: A | None = ...,
        scale: A | None = ...,
        eps: _Float = ...,
        *,
        out: tuple[A, A, A] | None = ...,
        dtype: Any = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> tuple[A, A, A]: ...
    def bind(
        self,
        x: A,
        residual: A,
        weight: A | None = ...,
        bias: A | None = ...,
        scale: A | None = ...,
        eps: _Float = ...,
        *,
        out: tuple[A, A, A] | None = ...,
        dtype: Any = ...,
        arch: str | None = ...,
    ) -> Bound: ...

class _RmsNorm(Kernel):
    def __call__(
        self,
        x: A,
        weight: A | None = ...,
        eps: _Float = ...,
        *,
        residual: A | None = ...,
        quantise: Any = ...,
        scale: A | None = ...,
        out: Any = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> Any: ...
    def submit(
        self,
        x: A,
        weight: A | None = ...,
        eps: _Float = ...,
        *,
        residual: A | None = ...,
        quantise: Any = ...,
        scale: A | None = ...,
        out: Any = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
        on_done: _Done | None = ...,
    ) -> Pending: ...
    def launch(
        self,
        x: A,
        weight: A | None = ...,
        eps: _Float = ...,
        *,
        residual: A | None = ...,
        quantise: Any = ...,
        scale: A | None = ...,
        out: Any = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> Any: ...
    def bind(
        self,
        x: A,
        weight: A | None = ...,
        eps: _Float = ...,
        *,
        residual: A | None = ...,
        quantise: Any = ...,
        scale: A | None = ...,
        out: Any = ...,
        arch: str | None = ...,
    ) -> Bound: ...

class _RmsNormLong(Kernel):
    def __call__(
        self,
        x: A,
        weight: A | None = ...,
        eps: _Float = ...,
        *,
        out: A | None = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> A: ...
    def submit(
        self,
        x: A,
        weight: A | None = ...,
        eps: _Float = ...,
        *,
        out: A | None = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
        on_done: _Done | None = ...,
    ) -> Pending: ...
    def launch(
        self,
        x: A,
        weight: A | None = ...,
        eps: _Float = ...,
        *,
        out: A | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> A: ...
    def bind(
        self, x: A, weight: A | None = ..., eps: _Float = ..., *, out: A | None = ..., arch: str | None = ...
    ) -> Bound: ...

class _RmsNormQuantised(Kernel):
    def __call__(
        self,
        x: A,
        weight: A | None = ...,
        scale: A | None = ...,
        eps: _Float = ...,
        *,
        out: tuple[A, A] | None = ...,
        dtype: Any = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> tuple[A, A]: ...
    def submit(
        self,
        x: A,
        weight: A | None = ...,
        scale: A | None = ...,
        eps: _Float = ...,
        *,
        out: tuple[A, A] | None = ...,
        dtype: Any = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
        on_done: _Done | None = ...,
    ) -> Pending: ...
    def launch(
        self,
        x: A,
        weight: A | None = ...,
        scale: A | None = ...,
        eps: _Float = ...,
        *,
        out: tuple[A, A] | None = ...,
        dtype: Any = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> tuple[A, A]: ...
    def bind(
        self,
        x: A,
        weight: A | None = ...,
        scale: A | None = ...,
        eps: _Float = ...,
        *,
        out: tuple[A, A] | None = ...,
        dtype: Any = ...,
        arch: str | None = ...,
    ) -> Bound: ...

class _RmsNormQuantisedLong(Kernel):
    def __call__(
        self,
        x: A,
        weight: A | None = ...,
        scale: A | None = ...,
        eps: _Float = ...,
        *,
        out: tuple[A, A] | None = ...,
        dtype: Any = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> tuple[A, A]: ...
    def submit(
        self,
        x: A,
        weight: A | None = ...,
        scale: A | None = ...,
        eps: _Float = ...,
        *,
        out: tuple[A, A] | None = ...,
        dtype: Any = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
        on_done: _Done | None = ...,
    ) -> Pending: ...
    def launch(
        self,
        x: A,
        weight: A | None = ...,
        scale: A | None = ...,
        eps: _Float = ...,
        *,
        out: tuple[A, A] | None = ...,
        dtype: Any = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> tuple[A, A]: ...
    def bind(
        self,
        x: A,
        weight: A | None = ...,
        scale: A | None = ...,
        eps: _Float = ...,
        *,
        out: tuple[A, A] | None = ...,
        dtype: Any = ...,
        arch: str | None = ...,
    ) -> Bound: ...

class _RmsNormResidual(Kernel):
    def __call__(
        self,
        x: A,
        residual: A,
        weight: A | None = ...,
        eps: _Float = ...,
        *,
        out: tuple[A, A] | None = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> tuple[A, A]: ...
    def submit(
        self,
        x: A,
        residual: A,
        weight: A | None = ...,
        eps: _Float = ...,
        *,
        out: tuple[A, A] | None = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
        on_done: _Done | None = ...,
    ) -> Pending: ...
    def launch(
        self,
        x: A,
        residual: A,
        weight: A | None = ...,
        eps: _Float = ...,
        *,
        out: tuple[A, A] | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> tuple[A, A]: ...
    def bind(
        self,
        x: A,
        residual: A,
        weight: A | None = ...,
        eps: _Float = ...,
        *,
        out: tuple[A, A] | None = ...,
        arch: str | None = ...,
    ) -> Bound: ...

class _RmsNormResidualQuantised(Kernel):
    def __call__(
        self,
        x: A,
        residual: A,
        weight: A | None = ...,
        scale: A | None = ...,
        eps: _Float = ...,
        *,
        out: tuple[A, A, A] | None = ...,
        dtype: Any = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> tuple[A, A, A]: ...
    def submit(
        self,
        x: A,
        residual: A,
        weight: A | None = ...,
        scale: A | None = ...,
        eps: _Float = ...,
        *,
        out: tuple[A, A, A] | None = ...,
        dtype: Any = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
        on_done: _Done | None = ...,
    ) -> Pending: ...
    def launch(
        self,
        x: A,
        residual: A,
        weight: A | None = ...,
        scale: A | None = ...,
        eps: _Float = ...,
        *,
        out: tuple[A, A, A] | None = ...,
        dtype: Any = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> tuple[A, A, A]: ...
    def bind(
        self,
        x: A,
        residual: A,
        weight: A | None = ...,
        scale: A | None = ...,
        eps: _Float = ...,
        *,
        out: tuple[A, A, A] | None = ...,
        dtype: Any = ...,
        arch: str | None = ...,
    ) -> Bound: ...

class _Scale(Kernel):
    def __call__(
        self,
        x: A,
        a: _Float,
        b: _Float = ...,
        *,
        out: A | None = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> A: ...
    def submit(
        self,
        x: A,
        a: _Float,
        b: _Float = ...,
        *,
        out: A | None = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
        on_done: _Done | None = ...,
    ) -> Pending: ...
    def launch(
        self, x: A, a: _Float, b: _Float = ..., *, out: A | None = ..., stream: Any = ..., arch: str | None = ...
    ) -> A: ...
    def bind(self, x: A, a: _Float, b: _Float = ..., *, out: A | None = ..., arch: str | None = ...) -> Bound: ...

class _Softmax(Kernel):
    def __call__(
        self, x: A, *, out: A | None = ..., timeout: float | None = ..., stream: Any = ..., arch: str | None = ...
    ) -> A: ...
    def submit(
        self,
        x: A,
        *,
        out: A | None = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
        on_done: _Done | None = ...,
    ) -> Pending: ...
    def launch(self, x: A, *, out: A | None = ..., stream: Any = ..., arch: str | None = ...) -> A: ...
    def bind(self, x: A, *, out: A | None = ..., arch: str | None = ...) -> Bound: ...

class _SoftmaxLong(Kernel):
    def __call__(
        self, x: A, *, out: A | None = ..., timeout: float | None = ..., stream: Any = ..., arch: str | None = ...
    ) -> A: ...
    def submit(
        self,
        x: A,
        *,
        out: A | None = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
        on_done: _Done | None = ...,
    ) -> Pending: ...
    def launch(self, x: A, *, out: A | None = ..., stream: Any = ..., arch: str | None = ...) -> A: ...
    def bind(self, x: A, *, out: A | None = ..., arch: str | None = ...) -> Bound: ...

class _SpectralMultiply(Kernel):
    def __call__(
        self,
        a: A,
        b: A,
        scale: _Float = ...,
        conjugate: _Int = ...,
        *,
        out: A | None = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> A: ...
    def submit(
        self,
        a: A,
        b: A,
        scale: _Float = ...,
        conjugate: _Int = ...,
        *,
        out: A | None = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
        on_done: _Done | None = ...,
    ) -> Pending: ...
    def launch(
        self,
        a: A,
        b: A,
        scale: _Float = ...,
        conjugate: _Int = ...,
        *,
        out: A | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> A: ...
    def bind(
        self, a: A, b: A, scale: _Float = ..., conjugate: _Int = ..., *, out: A | None = ..., arch: str | None = ...
    ) -> Bound: ...

class _Stencil3d(Kernel):
    def __call__(
        self,
        u: A,
        coefficients: A,
        steps: _Int = ...,
        periodic: _Int = ...,
        *,
        out: A | None = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> A: ...
    def submit(
        self,
        u: A,
        coefficients: A,
        steps: _Int = ...,
        periodic: _Int = ...,
        *,
        out: A | None = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
        on_done: _Done | None = ...,
    ) -> Pending: ...
    def launch(
        self,
        u: A,
        coefficients: A,
        steps: _Int = ...,
        periodic: _Int = ...,
        *,
        out: A | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> A: ...
    def bind(
        self,
        u: A,
        coefficients: A,
        steps: _Int = ...,
        periodic: _Int = ...,
        *,
        out: A | None = ...,
        arch: str | None = ...,
    ) -> Bound: ...

cross_entropy: _CrossEntropy
deadlock_demo: Kernel
dequant_matvec: _DequantMatvec
fft_frames: _FftFrames
fft_power: _FftPower
field_to_rgba: _FieldToRgba
field_to_rgba_own_range: _FieldToRgbaOwnRange
gather_rows: _GatherRows
image_prep: _ImagePrep
image_resize: _ImageResize
layer_norm: _LayerNorm
layer_norm_long: _LayerNormLong
layer_norm_quantised: _LayerNormQuantised
layer_norm_residual: _LayerNormResidual
layer_norm_residual_quantised: _LayerNormResidualQuantised
rms_norm: _RmsNorm
rms_norm_long: _RmsNormLong
rms_norm_quantised: _RmsNormQuantised
rms_norm_quantised_long: _RmsNormQuantisedLong
rms_norm_residual: _RmsNormResidual
rms_norm_residual_quantised: _RmsNormResidualQuantised
scale: _Scale
softmax: _Softmax
softmax_long: _SoftmaxLong
spectral_multiply: _SpectralMultiply
stencil3d: _Stencil3d
