"""Learned calls of tensors that are read through DLPack's C exchange API, and what is said of those that it refuses."""

from __future__ import annotations

from pathlib import Path

import exchange
import numpy as np
import pytest
import warpbridge as wb
from exchange import Tensor
from misses import Misses
from warpbridge.kernel import Kernel

DATA = Path(__file__).parent / "data"


@pytest.fixture
def scale(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """A kernel of its own, and the library."""
    exchange.install(monkeypatch)
    return wb.load(DATA / "axpb.ptx").kernels["axpb"]


def tensor(start: float, **claims: str) -> Tensor:
    return Tensor(np.full(100, start, np.float32), **claims)


def test_call_of_tensors_is_learned(scale: Kernel, misses: Misses) -> None:
    for style in (scale, scale.launch):
        style(tensor(1), 2.0, out=tensor(0))
        before = misses.count
        for start in range(3):
            out = tensor(0)
            style(tensor(start), 2.0, out=out)
            wb.device("cpu").synchronize()
            np.testing.assert_array_equal(out.host, np.full(100, 2 * start))
        assert misses.count == before


@pytest.mark.parametrize(
    ("claims", "text"),
    [
        ({"layout": "sparse"}, "a torch tensor has layout sparse, expected torch.strided; pass x.to_dense()"),
        ({"place": "meta"}, "a torch tensor is on meta, expected cpu or cuda; move it first"),
    ],
    ids=["sparse", "meta"],
)
def test_tensor_that_the_exchange_refuses_is_refused_in_our_words(
    scale: Kernel, monkeypatch: pytest.MonkeyPatch, claims: dict[str, str], text: str
) -> None:
    out = tensor(0)
    for style in (scale, scale.launch):
        style(tensor(1), 2.0, out=out)
    exchange.refuse(monkeypatch)
    for style in (scale, scale.launch):
        with pytest.raises(wb.ArgumentError) as caught:
            style(tensor(1, **claims), 2.0, out=out)
        assert str(caught.value) == f"axpb: argument 1 (x): {text}"


def test_tensor_that_only_the_exchange_refuses_goes_the_long_way(
    scale: Kernel, monkeypatch: pytest.MonkeyPatch, misses: Misses
) -> None:
    out = tensor(0)
    scale(tensor(1), 2.0, out=out)
    exchange.refuse(monkeypatch)
    assert misses.since(lambda: scale(tensor(3), 2.0, out=out)) == 1
    np.testing.assert_array_equal(out.host, np.full(100, 6))
