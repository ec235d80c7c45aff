"""Arguments made up by the tools: they pass the checks of every bundled kernel, in every variant."""

from __future__ import annotations

import pytest
import warpbridge as wb
from warpbridge.tools import inputs


@pytest.mark.parametrize("name", dir(wb.kernels))
def test_made_up_arguments_pass_the_checks_of_a_bundled_kernel(name: str) -> None:
    kernel = getattr(wb.kernels, name)
    for variant in kernel.manifest["variants"]:
        made = inputs.make(kernel, elements=20_000, dtypes=variant.get("dtypes") or {})
        bound = kernel.bind(**made, arch=variant["arch"])
        assert all(dtype in repr(bound.trace(ctas=(0,)).arguments) for dtype in (variant.get("dtypes") or {}).values())


def test_usual_sizes_give_way_to_those_given() -> None:
    made = inputs.make(wb.kernels.stencil3d, {"taps": 5, "nx": 7})
    assert (made["coefficients"].shape, made["u"].shape[2], made["steps"]) == ((3, 5), 7, 4)


def test_arrays_are_our_own_where_numpy_lacks_an_output_type() -> None:
    plain = inputs.make(wb.kernels.rms_norm_quantised, dtypes={"Q": "int8"})
    narrow = inputs.make(wb.kernels.rms_norm_quantised, dtypes={"Q": "float8_e4m3fn"})
    assert not isinstance(plain["x"], wb.Array)
    assert isinstance(narrow["x"], wb.Array)
