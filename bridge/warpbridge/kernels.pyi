# Signatures of the bundled kernels, for type checkers; tests/test_kernels.py compares them with the manifests.

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from .bound import Bound
from .kernel import Kernel
from .pending import Pending

A = TypeVar("A")
_Done = Callable[[Future[Any]], object]
_Triple = Sequence[float]

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

class _ImagePrep(Kernel):
    def __call__(
        self,
        x: A,
        mean: A | _Triple,
        std: A | _Triple,
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
        mean: A | _Triple,
        std: A | _Triple,
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
        mean: A | _Triple,
        std: A | _Triple,
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
        mean: A | _Triple,
        std: A | _Triple,
        offsets: A | None = ...,
        mirror: A | None = ...,
        oh: int | None = ...,
        ow: int | None = ...,
        *,
        out: A | None = ...,
        dtype: Any = ...,
        arch: str | None = ...,
    ) -> Bound: ...

scale: _Scale
image_prep: _ImagePrep
deadlock_demo: Kernel
