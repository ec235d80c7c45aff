"""Array libraries on the GPU, imported in fixtures only: without `-m gpu` nothing here may need a GPU or a library."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
import warpbridge as wb


@pytest.hookimpl(trylast=True)  # after `-m` has chosen: without `-m gpu` nobody asks for devices
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect, in plain sight, what needs more GPUs than there are."""
    wanted = {item: marker.args[0] for item in items if (marker := item.get_closest_marker("gpus"))}
    if wanted:
        count = sum(device.kind == "cuda" for device in wb.devices())
        left_out = [item for item, gpus in wanted.items() if gpus > count]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


class CuPy:
    """CuPy, as the tests use it."""

    name = "cupy"

    def __init__(self) -> None:
        self.module = importlib.import_module("cupy")

    def array(self, host: np.ndarray) -> Any:
        return self.module.asarray(host)

    def numpy(self, array: Any) -> np.ndarray:
        return self.module.asnumpy(array)

    def stream(self) -> Any:
        return self.module.cuda.Stream(non_blocking=True)

    def current(self, stream: Any) -> Any:
        return stream

    def synchronize(self, stream: Any) -> None:
        stream.synchronize()

    def is_own(self, array: Any) -> bool:
        return type(array) is self.module.ndarray

    def capture(self, stream: Any, work: Any) -> Any:
        with stream:
            stream.begin_capture()
            work()
            graph = stream.end_capture()
        return lambda: graph.launch(stream)


class Torch:
    """PyTorch, as the tests use it."""

    name = "torch"

    def __init__(self) -> None:
        self.module = importlib.import_module("torch")

    def array(self, host: np.ndarray) -> Any:
        return self.module.from_numpy(host.copy()).to("cuda:0")

    def numpy(self, array: Any) -> np.ndarray:
        return array.cpu().numpy()

    def stream(self) -> Any:
        return self.module.cuda.Stream()

    def current(self, stream: Any) -> Any:
        return self.module.cuda.stream(stream)

    def synchronize(self, stream: Any) -> None:
        stream.synchronize()

    def is_own(self, array: Any) -> bool:
        return type(array) is self.module.Tensor and array.device.type == "cuda"

    def capture(self, stream: Any, work: Any) -> Any:
        graph = self.module.cuda.CUDAGraph()
        with self.module.cuda.graph(graph, stream=stream):
            work()

        def replay() -> None:
            with self.module.cuda.stream(stream):
                graph.replay()

        return replay


@pytest.fixture(params=[CuPy, Torch], ids=["cupy", "torch"], scope="session")
def library(request: pytest.FixtureRequest) -> CuPy | Torch:
    """Both libraries in turn; a missing one is a failure, not a skip."""
    return request.param()
