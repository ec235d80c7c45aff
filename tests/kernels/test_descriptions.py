"""What each kernel says of itself: formula, source, and every argument with its type, its shape and what it is."""

from __future__ import annotations

import re

import pytest
import warpbridge as wb


@pytest.mark.parametrize("name", dir(wb.kernels))
def test_description_names_formula_source_dtypes_and_shapes(name: str) -> None:
    text = getattr(wb.kernels, name).__doc__
    assert re.search(r"\b\w+\[[\w, :]+\] = ", text, re.MULTILINE), "the formula"
    assert re.search(r"Source: \w|the formula is from\.", text, re.MULTILINE), "the source"
    arguments = re.findall(r"^(\w+) : (.*)\n    (.+)", text, re.MULTILINE)
    arrays = [(argument, kind) for argument, kind, _ in arguments if kind.startswith("array of ")]
    assert len(arrays) >= 2, "an input and an output"
    for argument, kind in arrays:
        assert re.match(r"array of [\w ]+, (any shape|\(.+\))(,|$)", kind), f"{argument} : {kind}"
    assert "Returns\n-------\n" in text


def test_description_of_an_argument() -> None:
    text = wb.kernels.fft_frames.__doc__
    assert "\nx : array of int16 or int8 or float32, any shape\n    signal\n" in text
    assert "\nwindow : array of float32, (l,)\n" in text
    assert "\ny : array of complex64, (frames, l)\n    frames" in text
    assert "\nmean : array of float32, (3,), or a sequence of numbers\n" in wb.kernels.image_prep.__doc__
    assert "\nzeros : array of uint8 or int8, (rows, groups), optional\n" in wb.kernels.dequant_matvec.__doc__
