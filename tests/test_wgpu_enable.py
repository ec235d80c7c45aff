"""`enable()` in time, late, never, twice: each in a process of its own, because a layer joins when wgpu starts."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest
import warpbridge as wb
from warpbridge.adapters import wgpu as wbgpu
from warpbridge.adapters.wgpu import sharing

START = """
import sys
import warpbridge as wb
from warpbridge.adapters import wgpu as wbgpu

def text_of(call):
    try:
        call()
    except wb.WarpbridgeError as error:
        return f"{type(error).__name__}: {error}"
    return "nothing raised"

def device():
    import wgpu
    return wgpu.gpu.request_adapter_sync().request_device_sync()

FLAGS = "STORAGE|COPY_SRC|COPY_DST"
"""
NOT_CALLED = "warpbridge.adapters.wgpu.enable() was not called before wgpu was first used"


@pytest.fixture
def lines(run_python):
    """Run a program and return the lines it printed."""

    def run(program: str, start: str = START, **environment: str) -> list[str]:
        without = {
            "VK_INSTANCE_LAYERS": "",
            "VK_ADD_LAYER_PATH": "",
        }  # another test of this process may have enabled it
        found = run_python(start + program, **{**without, **environment})
        assert found.returncode == 0, found.stderr
        return found.stdout.splitlines()

    return run


def test_enabled_in_time_buffers_are_shared(lines) -> None:
    printed = lines(
        "wbgpu.enable(); wbgpu.enable()\n"
        "view = wbgpu.share(device(), size=64, usage=FLAGS, require='shared')\n"
        "wbgpu.enable()\n"
        "print(view.transport, view.tobytes() == bytes(64))"
    )
    assert printed == ["shared True"]


def test_enable_keeps_other_layers_and_adds_itself_once(lines) -> None:
    printed = lines(
        "import os\nwbgpu.enable(); wbgpu.enable()\nprint(os.environ['VK_INSTANCE_LAYERS'])\n"
        "print(os.environ['VK_ADD_LAYER_PATH'].split(':')[1:])",
        VK_INSTANCE_LAYERS="VK_LAYER_other",
        VK_ADD_LAYER_PATH="/somewhere",
    )
    assert printed == ["VK_LAYER_WARPBRIDGE_share:VK_LAYER_other", "['/somewhere']"]


@pytest.mark.parametrize("only", ["", "/somewhere"])
def test_enable_adds_itself_where_the_loader_is_told_to_look_nowhere_else(lines, only: str) -> None:
    printed = lines(
        "import os\nwbgpu.enable(); wbgpu.enable()\nprint(os.environ['VK_LAYER_PATH'].split(':')[1:])\n"
        "print(wbgpu.share(device(), size=64, usage=FLAGS).transport)",
        VK_LAYER_PATH=only,
    )
    assert printed == ["['/somewhere']" if only else "[]", "shared"]


def test_layer_that_the_user_excludes_is_named(lines) -> None:
    printed = lines(
        "wbgpu.enable(); d = device()\n"
        "print(text_of(lambda: wbgpu.share(d, size=64, usage=FLAGS, label='f', require='shared')))",
        VK_LOADER_LAYERS_DISABLE="~explicit~",
    )
    assert printed == [
        "ArgumentError: wgpu buffer 'f' cannot be shared: the Vulkan loader has not taken warpbridge's layer in, "
        "expected loader 1.3.234 or later; VK_LOADER_LAYERS_DISABLE is '~explicit~', which may exclude it; leave "
        "require out, or make it so"
    ]


def test_installation_in_any_folder_shares(lines, tmp_path: Path) -> None:
    folder = tmp_path / "with space, ünï-цод"
    folder.mkdir()
    (folder / "warpbridge").symlink_to(Path(wb.__file__).parent)
    printed = lines(
        "import os\nwbgpu.enable()\nprint(os.path.dirname(os.path.dirname(wb.__file__)))\n"
        "print(wbgpu.share(device(), size=64, usage=FLAGS).transport)",
        PYTHONPATH=str(folder),
    )
    assert printed == [str(folder), "shared"]


def test_installation_in_a_folder_with_a_colon_is_refused(lines, tmp_path: Path) -> None:
    folder = f"{tmp_path}/a:b/_layer"
    printed = lines(
        f"from warpbridge import _vulkan\n_vulkan.layer_folder = lambda: {folder!r}\nprint(text_of(wbgpu.enable))\n"
        "print(wbgpu.share(device(), size=64, usage=FLAGS).transport)"
    )
    assert printed == [
        f"DeviceError: enable: warpbridge is installed in {folder!r}, expected a path without ':', at which the Vulkan "
        "loader cuts; install it elsewhere. Views are staged, by copies",
        "staged",
    ]


def test_child_of_fork_is_told_that_the_device_is_its_parents(lines) -> None:
    printed = lines(
        "import os\nwbgpu.enable(); d = device()\n"
        "new = lambda how: wbgpu.share(d, size=64, dtype='float32', usage=FLAGS, label=how, on='cpu', require=how)\n"
        "views = list(map(new, ('shared', 'pinned', 'staged')))\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    calls = [lambda: wb.kernels.scale(view, 2.0, 1.0), lambda: view.tobytes(), "
        "lambda: view.__enter__(),\n"
        "             lambda: wbgpu.view(view.buffer, dtype='uint8'), lambda: wbgpu.share(d, size=64, usage=FLAGS)]\n"
        "    for view in views:\n"
        "        for call in calls:\n"
        "            print(text_of(call).replace(str(os.getpid()), 'CHILD'), flush=True)\n"
        "    os._exit(0)\n"
        "print(os.waitpid(child, 0)[1], [view.tobytes() == bytes(64) for view in views], os.getpid())"
    )
    parent = printed[-1].split()[-1]
    expected = [
        f"DeviceError: {what} belongs to process {parent}, expected one of this process, CHILD: Vulkan does not "
        "work on after a fork; start the child by spawn, in Python multiprocessing.set_start_method('spawn')"
        for how in ("shared", "pinned", "staged")
        for what in (*(f"wgpu buffer {how!r}",) * 4, "wgpu device ''")
    ]
    assert printed == [*expected, f"0 [True, True, True] {parent}"]


def test_enabled_late_it_says_so_and_copies_still_work(lines) -> None:
    printed = lines(
        "d = device()\nprint(text_of(wbgpu.enable))\n"
        "view = wbgpu.share(d, size=64, dtype='float32', usage=FLAGS)\n"
        "view.frombytes(bytes(range(64)))\n"
        "print(view.transport, bytes(d.queue.read_buffer(view.buffer)) == bytes(range(64)))"
    )
    assert printed == [
        "DeviceError: enable: wgpu has made its instance already, expected this call before it; call enable() before "
        "the first request_adapter. Views are staged, by copies",
        "staged True",
    ]


def test_never_enabled_a_required_transport_says_why(lines) -> None:
    printed = lines(
        "d = device()\nview = wbgpu.share(d, size=64, usage=FLAGS, label='f')\nprint(view.transport)\n"
        "for transport in ('shared', 'pinned'):\n"
        "    print(text_of(lambda: wbgpu.share(d, size=64, usage=FLAGS, label='f', require=transport)))"
    )
    assert printed == [
        "staged",
        f"ArgumentError: wgpu buffer 'f' cannot be shared: {NOT_CALLED}; leave require out, or make it so",
        f"ArgumentError: wgpu buffer 'f' cannot be pinned: {NOT_CALLED}; leave require out, or make it so",
    ]


def test_other_backends_share_nothing() -> None:  # which of them a machine has cannot be known
    assert sharing.why_not_by("OpenGL") == "its device uses OpenGL, expected the Vulkan backend"
    assert not sharing.why_not_by("Vulkan")


def test_without_wgpu_enable_says_how_to_install_it(lines) -> None:
    printed = lines("sys.modules['wgpu'] = None\nprint(text_of(wbgpu.enable))")
    assert printed == [
        "DeviceError: enable: wgpu is not installed, expected wgpu 0.32 or later; pip install 'warpbridge[wgpu]'"
    ]


def test_mappable_and_empty_buffers_are_not_shared(lines) -> None:
    printed = lines(
        "wbgpu.enable(); d = device()\n"
        "for options in ({'size': 64, 'usage': 'MAP_READ|COPY_DST'}, {'size': 0, 'usage': FLAGS}):\n"
        "    print(text_of(lambda: wbgpu.share(d, label='f', require='shared', **options)))\n"
        "    print(wbgpu.share(d, **options).transport)"
    )
    assert printed == [
        "ArgumentError: wgpu buffer 'f' cannot be shared: its usage has MAP_READ, expected it without; leave require "
        "out, or make it so",
        "pinned",
        "ArgumentError: wgpu buffer 'f' cannot be shared: it is empty; leave require out, or make it so",
        "staged",
    ]


def test_neither_wgpu_nor_vulkan_is_loaded_by_importing_the_adapter(lines) -> None:
    maps = Path("/proc/self/maps")
    assert lines(
        f"print('wgpu' in sys.modules, 'libvulkan' in open({str(maps)!r}).read(), 'numpy' in sys.modules)"
    ) == ["False False False"]


def test_validation_stays_silent_while_buffers_are_shared_copied_and_destroyed(run_python) -> None:
    program = START + (
        "import os\nos.environ['VK_INSTANCE_LAYERS'] = 'VK_LAYER_KHRONOS_validation'\n"
        "wbgpu.enable(); d = device()\n"
        "import wgpu\n"
        "views = [wbgpu.share(d, size=4096, dtype='float32', usage=FLAGS, require='shared') for _ in range(3)]\n"
        "b = d.create_buffer(size=4096, usage=FLAGS)\n"
        "views += [wbgpu.view(b, dtype='float32', require=r) for r in ('pinned', 'staged')]\n"
        "for view in views:\n"
        "    wb.kernels.scale(view, 2.0, 1.0, out=view)\n"
        "    assert bytes(d.queue.read_buffer(view.buffer, 0, 4)) != bytes(4)\n"
        "views[0].buffer.destroy()\n"
        "d._poll_wait()\nprint([view.transport for view in views])\n"
        "print('libVkLayer_khronos_validation' in open('/proc/self/maps').read())"
    )
    found = run_python(program)
    assert found.stdout == "['shared', 'shared', 'shared', 'pinned', 'staged']\nTrue\n", found.stderr
    assert "Validation Error" not in found.stderr
    assert "VUID" not in found.stderr


def test_adapter_is_an_attribute_of_the_package(lines) -> None:
    assert lines("print(wb.adapters.wgpu is wbgpu, 'wgpu' in dir(wb.adapters), hasattr(wb.adapters, 'vulkan'))") == [
        "True True False"
    ]


# What must hold behind each program of the page.
PAGE = [
    """
assert (x.transport, y.transport) == ('pinned', 'shared')
assert np.frombuffer(device.queue.read_buffer(buffer), np.float32).tolist() == [4.0] * 1_000_000
assert np.frombuffer(device.queue.read_buffer(y.buffer), np.float32).tolist() == [2.0] * 1_000_000
""",
    """
assert view.transport == 'shared'
assert np.frombuffer(device.queue.read_buffer(view.buffer), np.float32).tolist() == [0.0] * 4 + [7.0] * 4 + [0.0] * 8
""",
    """
layout = {"offset": 0, "bytes_per_row": width * 4, "rows_per_image": height}
got = np.frombuffer(device.queue.read_texture({"texture": texture}, layout, (width, height, 1)), np.uint8)
levels = (256 * field.astype(float)).astype(int).clip(0, 255)
assert (got.reshape(height, width, 4) == greys[levels]).all()
assert wbgpu.copied_bytes() == 0
""",
]


@pytest.mark.parametrize("number", range(len(PAGE)))
def test_program_of_the_page_runs_as_written(lines, number: int) -> None:
    page = (Path(__file__).parent.parent / "docs" / "wgpu.md").read_text(encoding="utf-8")
    programs = [part.split("```")[0] for part in page.split("```python\n")[1:]]
    assert len(programs) == len(PAGE)
    lines(programs[number] + PAGE[number], start="")


def test_stub_has_the_functions_and_parameters_of_the_module() -> None:
    stub = ast.parse(Path(wbgpu.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    functions = {node.name: node.args for node in stub.body if isinstance(node, ast.FunctionDef)}
    assert {*wbgpu.__all__, "claim"} == set(functions)
    for name, arguments in functions.items():
        parameters = inspect.signature(getattr(wbgpu, name)).parameters.values()
        assert [p.name for p in parameters] == [a.arg for a in (*arguments.args, *arguments.kwonlyargs)]
        given = [None if p.default is p.empty else repr(p.default) for p in parameters if p.kind is p.KEYWORD_ONLY]
        assert given == [None if d is None else repr(ast.literal_eval(d)) for d in arguments.kw_defaults]
