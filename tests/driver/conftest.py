"""Programs on a stand-in for the CUDA driver, compiled here from C, each in an interpreter of its own.

The library is also a Vulkan layer (`lending.c`), for those who list it in VK_INSTANCE_LAYERS: see `lending`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent

OPENING = """
import ctypes, dataclasses, gc, os, sys, threading, numpy as np, warpbridge as wb
from warpbridge import adapters
sys.path.insert(0, TESTS)
from producer import Producer
driver = ctypes.CDLL(os.environ["WARPBRIDGE_LIBCUDA"])
driver.driver_count.argtypes = [ctypes.c_char_p]
count = lambda what: driver.driver_count(what.encode())
entries = lambda names: "".join(f".visible .entry {name}(.param .u64 x) {{ ret; }}\\n" for name in names.split())
ptx = lambda names: ".version 8.0\\n.target sm_80\\n.address_size 64\\n" + entries(names)
host = np.ones(8, np.float32)
x = Producer(host, device=(2, 0))

class Plain:  # an array like CuPy's and PyTorch's: no stream of its own, so that its launches are not tracked
    pass

adapters._claims[Plain] = lambda plain: dataclasses.replace(adapters.claim(x), order=None)
plain = Plain()

def caught(work):
    try:
        work()
    except wb.WarpbridgeError as error:
        return error
    sys.exit("no error")
"""


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shared library."""
    compiler = shutil.which("cc")
    assert compiler, "a C compiler is needed, as for building warpbridge"
    path = tmp_path_factory.mktemp("driver") / "libdriver.so"
    subprocess.run(
        [
            compiler,
            "-std=c11",
            "-D_GNU_SOURCE",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-shared",
            "-fPIC",
            "-o",
            path,
            HERE / "driver.c",
            HERE / "external.c",
            HERE / "lending.c",
        ],
        check=True,
    )
    return path


@pytest.fixture
def on_driver(library: Path, run_python) -> Callable[..., str]:
    """Run a program on the stand-in; keywords go into its environment. Returns what it prints."""

    def run(program: str, **environment: str) -> str:
        opening = OPENING.replace("TESTS", repr(str(HERE.parent)))
        process = run_python(opening + program, WARPBRIDGE_LIBCUDA=str(library), **environment)
        assert (process.returncode, process.stderr) == (0, "")
        return process.stdout

    return run


@pytest.fixture
def lending(library: Path, tmp_path: Path) -> dict[str, str]:
    """The environment in which Vulkan's devices lend their semaphores to the stand-in."""
    layer = {
        "name": "VK_LAYER_WARPBRIDGE_tests_lending",
        "type": "GLOBAL",
        "library_path": str(library),
        "api_version": "1.3.0",
        "implementation_version": "1",
        "description": "for tests",
        "functions": {"vkNegotiateLoaderLayerInterfaceVersion": "negotiate_lending"},
    }
    manifest = {"file_format_version": "1.2.0", "layer": layer}
    (tmp_path / "VkLayer_lending.json").write_text(json.dumps(manifest), encoding="utf-8")
    return {
        "VK_ADD_LAYER_PATH": str(tmp_path),
        "VK_INSTANCE_LAYERS": layer["name"],
        "XDG_RUNTIME_DIR": str(tmp_path),
    }
