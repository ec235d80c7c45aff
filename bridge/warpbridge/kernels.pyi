# Signatures of the bundled kernels, for type checkers: written by kernels/stubs.py from the manifests.

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from .bound import Bound
from .kernel import Kernel
from .pending import Pending

A = TypeVar("A")
_Done = Callable[[Future[Any]], object]
_Numbers = Sequence[float]

class _CrossEntropy(Kernel):
    def __call__(
        self,
        x: A,
        target: A,
        ignore_index: int = ...,
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
        ignore_index: int = ...,
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
        ignore_index: int = ...,
        *,
        out: A | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> A: ...
    def bind(
        self, x: A, target: A, ignore_index: int = ..., *, out: A | None = ..., arch: str | None = ...
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
        hop: int,
        scale: float = ...,
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
        hop: int,
        scale: float = ...,
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
        hop: int,
        scale: float = ...,
        *,
        out: A | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> A: ...
    def bind(
        self, x: A, window: A, hop: int, scale: float = ..., *, out: A | None = ..., arch: str | None = ...
    ) -> Bound: ...

class _FftPower(Kernel):
    def __call__(
        self,
        x: A,
        average: int = ...,
        scale: float = ...,
        decibel: int = ...,
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
        average: int = ...,
        scale: float = ...,
        decibel: int = ...,
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
        average: int = ...,
        scale: float = ...,
        decibel: int = ...,
        *,
        out: A | None = ...,
        dtype: Any = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> A: ...
    def bind(
        self,
        x: A,
        average: int = ...,
        scale: float = ...,
        decibel: int = ...,
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
        vmin: float,
        vmax: float,
        nan: int = ...,
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
        vmin: float,
        vmax: float,
        nan: int = ...,
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
        vmin: float,
        vmax: float,
        nan: int = ...,
        *,
        out: A | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> A: ...
    def bind(
        self, x: A, lut: A, vmin: float, vmax: float, nan: int = ..., *, out: A | None = ..., arch: str | None = ...
    ) -> Bound: ...

class _GatherRows(Kernel):
    def __call__(
        self,
        src: A,
        idx: A,
        scale: float = ...,
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
        scale: float = ...,
        *,
        out: A | None = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
        on_done: _Done | None = ...,
    ) -> Pending: ...
    def launch(
        self, src: A, idx: A, scale: float = ..., *, out: A | None = ..., stream: Any = ..., arch: str | None = ...
    ) -> A: ...
    def bind(self, src: A, idx: A, scale: float = ..., *, out: A | None = ..., arch: str | None = ...) -> Bound: ...

class _ImagePrep(Kernel):
    def __call__(
        self,
        x: A,
        mean: A | _Numbers,
        std: A | _Numbers,
        offsets: A | None = ...,
        mirror: A | None = ...,
        oh: int | None = ...,
        ow: int | None = ...,
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
        oh: int | None = ...,
        ow: int | None = ...,
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
        oh: int | None = ...,
        ow: int | None = ...,
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
        oh: int | None = ...,
        ow: int | None = ...,
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
        oh: int | None = ...,
        ow: int | None = ...,
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
        oh: int | None = ...,
        ow: int | None = ...,
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
        oh: int | None = ...,
        ow: int | None = ...,
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
        oh: int | None = ...,
        ow: int | None = ...,
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
        eps: float = ...,
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
        eps: float = ...,
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
        eps: float = ...,
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
        eps: float = ...,
        *,
        residual: A | None = ...,
        quantise: Any = ...,
        scale: A | None = ...,
        out: Any = ...,
        arch: str | None = ...,
    ) -> Bound: ...

class _LayerNormQuantised(Kernel):
    def __call__(
        self,
        x: A,
        weight: A | None = ...,
        bias: A | None = ...,
        scale: A | None = ...,
        eps: float = ...,
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
        eps: float = ...,
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
        eps: float = ...,
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
        eps: float = ...,
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
        eps: float = ...,
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
        eps: float = ...,
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
        eps: float = ...,
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
        eps: float = ...,
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
        eps: float = ...,
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
        eps: float = ...,
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
        eps: float = ...,
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
        eps: float = ...,
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
        eps: float = ...,
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
        eps: float = ...,
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
        eps: float = ...,
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
        eps: float = ...,
        *,
        residual: A | None = ...,
        quantise: Any = ...,
        scale: A | None = ...,
        out: Any = ...,
        arch: str | None = ...,
    ) -> Bound: ...

class _RmsNormQuantised(Kernel):
    def __call__(
        self,
        x: A,
        weight: A | None = ...,
        scale: A | None = ...,
        eps: float = ...,
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
        eps: float = ...,
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
        eps: float = ...,
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
        eps: float = ...,
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
        eps: float = ...,
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
        eps: float = ...,
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
        eps: float = ...,
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
        eps: float = ...,
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
        eps: float = ...,
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
        eps: float = ...,
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
        eps: float = ...,
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
        eps: float = ...,
        *,
        out: tuple[A, A, A] | None = ...,
        dtype: Any = ...,
        arch: str | None = ...,
    ) -> Bound: ...

class _Scale(Kernel):
    def __call__(
        self,
        x: A,
        a: float,
        b: float = ...,
        *,
        out: A | None = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> A: ...
    def submit(
        self,
        x: A,
        a: float,
        b: float = ...,
        *,
        out: A | None = ...,
        timeout: float | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
        on_done: _Done | None = ...,
    ) -> Pending: ...
    def launch(
        self, x: A, a: float, b: float = ..., *, out: A | None = ..., stream: Any = ..., arch: str | None = ...
    ) -> A: ...
    def bind(self, x: A, a: float, b: float = ..., *, out: A | None = ..., arch: str | None = ...) -> Bound: ...

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

class _SpectralMultiply(Kernel):
    def __call__(
        self,
        a: A,
        b: A,
        scale: float = ...,
        conjugate: int = ...,
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
        scale: float = ...,
        conjugate: int = ...,
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
        scale: float = ...,
        conjugate: int = ...,
        *,
        out: A | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> A: ...
    def bind(
        self, a: A, b: A, scale: float = ..., conjugate: int = ..., *, out: A | None = ..., arch: str | None = ...
    ) -> Bound: ...

class _Stencil3d(Kernel):
    def __call__(
        self,
        u: A,
        coefficients: A,
        steps: int = ...,
        periodic: int = ...,
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
        steps: int = ...,
        periodic: int = ...,
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
        steps: int = ...,
        periodic: int = ...,
        *,
        out: A | None = ...,
        stream: Any = ...,
        arch: str | None = ...,
    ) -> A: ...
    def bind(
        self,
        u: A,
        coefficients: A,
        steps: int = ...,
        periodic: int = ...,
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
gather_rows: _GatherRows
image_prep: _ImagePrep
image_resize: _ImageResize
layer_norm: _LayerNorm
layer_norm_quantised: _LayerNormQuantised
layer_norm_residual: _LayerNormResidual
layer_norm_residual_quantised: _LayerNormResidualQuantised
rms_norm: _RmsNorm
rms_norm_quantised: _RmsNormQuantised
rms_norm_residual: _RmsNormResidual
rms_norm_residual_quantised: _RmsNormResidualQuantised
scale: _Scale
softmax: _Softmax
spectral_multiply: _SpectralMultiply
stencil3d: _Stencil3d
