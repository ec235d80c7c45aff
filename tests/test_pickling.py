"""Kernels and modules travel by where they came from; what belongs to a process refuses, with a remedy."""

from __future__ import annotations

import concurrent.futures
import copy
import gc
import json
import multiprocessing
import pickle
import shutil
import threading
import tomllib
from pathlib import Path

import numpy as np
import pytest
import warpbridge as wb
from warpbridge import pickling

ROOT = Path(__file__).parent.parent
SAXPY = ROOT / "examples" / "saxpy.ptx"


def saxpy(kernel: wb.Kernel) -> np.ndarray:
    """Run `examples/saxpy.ptx`, in this process or in a worker."""
    x, y = np.arange(4, dtype=np.float32), np.ones(4, np.float32)
    kernel(x, y, 2.0)
    return y


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A PTX file with its manifest, to be changed and removed."""
    for suffix in (".ptx", ".toml"):
        shutil.copy(SAXPY.with_suffix(suffix), tmp_path)
    return tmp_path / "saxpy.ptx"


@pytest.fixture(params=["spawn", "forkserver"])
def pool(request: pytest.FixtureRequest):
    context = multiprocessing.get_context(request.param)
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as executor:
        yield executor


def forget() -> None:
    """Make this process one that has not seen the kernels yet."""
    gc.collect()
    pickling._recent.clear()
    pickling._living.clear()


def load_text() -> wb.Module:
    return wb.load(SAXPY.read_text(), manifest=tomllib.loads(SAXPY.with_suffix(".toml").read_text()))


@pytest.mark.parametrize("travel", [copy.copy, copy.deepcopy, lambda k: pickle.loads(pickle.dumps(k))])
@pytest.mark.parametrize("make", [lambda: wb.kernels.scale, lambda: wb.load(SAXPY).kernels["saxpy"]])
def test_kernel_is_the_same_object_within_a_process(make, travel) -> None:
    kernel = make()
    assert travel(kernel) is kernel
    assert travel({"deep": [kernel]})["deep"][0] is kernel


def test_bundled_kernel_pickles_as_its_name_and_version() -> None:
    packed = pickle.dumps(wb.kernels.scale)
    assert b"scale" in packed
    assert wb.__version__.encode() in packed
    assert len(packed) < 200


def test_bundled_kernel_of_another_version_is_refused() -> None:
    origin = pickling.Bundled("scale", "0.0.9")
    with pytest.raises(wb.LoadError) as caught:
        pickling._kernel(origin, "scale")
    assert str(caught.value) == (
        f"kernel scale: pickled by warpbridge 0.0.9, but this process has warpbridge {wb.__version__}; expected one "
        "version in all processes: install the same one everywhere"
    )


def test_kernel_from_files_pickles_as_paths_and_loads_again(files: Path) -> None:
    packed = pickle.dumps(wb.load(files).kernels["saxpy"])
    assert str(files).encode() in packed
    assert b".visible" not in packed
    forget()
    np.testing.assert_array_equal(saxpy(pickle.loads(packed)), [1, 3, 5, 7])


def test_relative_path_is_found_from_another_folder(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files.parent)
    packed = pickle.dumps(wb.load(files.name).kernels["saxpy"])
    forget()
    monkeypatch.chdir("/")
    np.testing.assert_array_equal(saxpy(pickle.loads(packed)), [1, 3, 5, 7])


def test_kernel_whose_file_has_changed_is_refused(files: Path) -> None:
    packed = pickle.dumps(wb.load(files).kernels["saxpy"])
    forget()
    files.write_text(files.read_text() + "// changed\n")
    with pytest.raises(wb.LoadError) as caught:
        pickle.loads(packed)
    found, expected = caught.value.found, caught.value.expected
    assert str(caught.value) == (
        f"{files}: has SHA-256 {found[:16]}..., expected {expected[:16]}...: it is not the file that the pickled "
        "kernel saxpy was loaded from; put it there in every process, or load from text: wb.load(text, "
        "manifest={...}) travels whole"
    )


def test_kernel_whose_manifest_is_gone_is_refused(files: Path) -> None:
    packed = pickle.dumps(wb.load(files).kernels["saxpy"])
    forget()
    manifest = files.with_suffix(".toml")
    manifest.unlink()
    with pytest.raises(wb.LoadError) as caught:
        pickle.loads(packed)
    assert str(caught.value) == (
        f"{manifest}: not readable, expected the file that the pickled kernel saxpy was loaded from; put it there in "
        "every process, or load from text: wb.load(text, manifest={...}) travels whole"
    )


def test_other_variants_files_are_verified_too(files: Path) -> None:
    other = files.with_name("other.ptx")
    shutil.copy(files, other)
    text = files.with_suffix(".toml").read_text()
    variant = text[text.index("[[variants]]") : text.index("[", text.index("[[variants]]") + 12)]
    manifest = files.with_name("two.toml")
    manifest.write_text(text.replace(variant, variant + variant.replace("saxpy.ptx", "other.ptx")))
    packed = pickle.dumps(wb.load(files, manifest).kernels["saxpy"])
    forget()
    pickle.loads(packed)
    forget()
    other.unlink()
    with pytest.raises(wb.LoadError, match=r"^.*other\.ptx: not readable, expected the file"):
        pickle.loads(packed)


def test_kernel_from_text_travels_whole() -> None:
    packed = pickle.dumps(load_text().kernels["saxpy"])
    forget()
    np.testing.assert_array_equal(saxpy(pickle.loads(packed)), [1, 3, 5, 7])


def test_module_without_manifest_travels(files: Path) -> None:
    files.with_suffix(".toml").unlink()
    module = pickle.loads(pickle.dumps(wb.load(files)))
    y = np.ones(4, np.float32)
    module.entries["saxpy"](1, 128, [2.0, np.arange(4, dtype=np.float32), y, 4])
    np.testing.assert_array_equal(y, [1, 3, 5, 7])


def test_bundled_kernel_runs_in_a_worker_process(pool) -> None:
    x = np.arange(5, dtype=np.float32)
    np.testing.assert_array_equal(pool.submit(wb.kernels.scale, x, 2.0, 1.0).result(timeout=60), 2 * x + 1)


@pytest.mark.parametrize("make", [lambda: wb.load(SAXPY), load_text], ids=["files", "text"])
def test_loaded_kernel_runs_in_a_worker_process(pool, make) -> None:
    np.testing.assert_array_equal(pool.submit(saxpy, make().kernels["saxpy"]).result(timeout=60), [1, 3, 5, 7])


def test_error_of_a_worker_arrives_with_its_fields(pool) -> None:
    with pytest.raises(wb.ArgumentError) as caught:
        pool.submit(wb.kernels.scale, "no array", 2.0).result(timeout=60)
    assert str(caught.value).startswith("scale: argument 1 (x) is a str, expected an array")
    assert (caught.value.kernel, caught.value.argument) == ("scale", "x")


def test_threads_that_unpickle_at_once_get_one_kernel(files: Path) -> None:
    packed = pickle.dumps(wb.load(files).kernels["saxpy"])
    forget()
    barrier = threading.Barrier(8)

    def arrive(_: int) -> wb.Kernel:
        barrier.wait()
        return pickle.loads(packed)

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        assert len(set(map(id, threads.map(arrive, range(8))))) == 1


def test_token_follows_the_code_not_the_place(files: Path) -> None:
    first = wb.load(files).kernels["saxpy"].__dask_tokenize__()
    assert first == wb.load(SAXPY).kernels["saxpy"].__dask_tokenize__()
    assert json.loads(json.dumps(first)) == list(first)
    files.write_text(files.read_text() + "// changed\n")
    assert first != wb.load(files).kernels["saxpy"].__dask_tokenize__()
    assert first != wb.kernels.scale.__dask_tokenize__()


def refusing() -> list[tuple[object, str]]:
    x = np.ones(4, np.float32)
    entry = wb.load(SAXPY).entries["saxpy"]
    bound = wb.kernels.scale.bind(x, 2.0)
    pending = bound.submit()
    pending.result()
    stream = wb.device("cpu").stream()
    return [
        (entry, "pickle its module, and take module.entries['saxpy'] in the other process"),
        (bound, "pickle the kernel and the arguments, and bind them in the other process"),
        (pending, "wait for its result(), and pickle that"),
        (stream, "make one in the other process: wb.device('cpu').stream()"),
        (
            wb.tensor_map(np.ones((8, 8), np.float32), (4, 4)),
            "pickle the array, and make its map in the other process with wb.tensor_map",
        ),
    ]


def test_what_belongs_to_the_process_refuses_and_names_the_remedy() -> None:
    for thing, remedy in refusing():
        with pytest.raises(TypeError) as caught:
            pickle.dumps(thing)
        assert str(caught.value) == f"{thing!r} cannot be pickled, because it belongs to this process; {remedy}"


def test_device_travels_by_name() -> None:
    cpu = wb.device("cpu")
    assert pickle.loads(pickle.dumps(cpu)) is cpu
    assert copy.deepcopy([cpu])[0] is cpu
