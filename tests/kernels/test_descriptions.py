"""What each kernel says of itself: formula, source, and every argument with its type, its shape and what it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import warpbridge as wb
from warpbridge.long_rows import MOST_BYTES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "kernels.md"


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


@pytest.mark.parametrize("name", MOST_BYTES)
def test_descriptions_and_page_say_from_which_length_rows_are_another_kernels(name: str) -> None:
    kib = MOST_BYTES[name] // 1024
    plain, long = (" ".join(getattr(wb.kernels, kernel).__doc__.split()) for kernel in (name, f"{name}_long"))
    assert f" of more than {kib} KiB are `{name}_long`'s" in plain
    assert f"What `{name}` runs for rows of more than {kib} KiB" in long
    page = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert re.search(rf"`{name}` of more than {kib}( KiB)?,", page)


def test_page_lists_every_kernel_that_is_called_by_a_name_of_its_own() -> None:
    listed = set(re.findall(r"^\| `(\w+)\(", PAGE.read_text(encoding="utf-8"), re.M))
    forms = re.compile(r"_(long|own_range|residual|quantised|residual_quantised)$")
    assert listed == {name for name in dir(wb.kernels) if not forms.search(name)}
