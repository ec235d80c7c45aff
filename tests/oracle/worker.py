"""Runs one batch of forms on the GPU, in a process of its own: a fault takes the process down and nothing else.

`python -m oracle.worker BATCH FIRST FILE` runs the forms of that batch from index FIRST and appends pickled records to
FILE: ("meta", dict), then per form ("start", name) and one of ("ok", name, [bytes, ...]), ("unstable", name, text),
("refused", name, log), ("fault", name, text). After a fault it exits with status 3; `record.py` goes on behind it.
"""

from __future__ import annotations

import pickle
import sys
from ctypes import c_char, c_uint64, c_void_p
from pathlib import Path
from typing import IO

import numpy as np

from .driver import Driver, DriverError, pointer_of
from .form import Form, module_text
from .forms import FORMS, batches

ARENA_BYTES = 64 << 20
ALIGN = 1024
FAULT = 3


def modules(driver: Driver, forms: list[Form]) -> tuple[dict[str, c_void_p], dict[str, str]]:
    """Return each form's module, and the log of each form that the driver refuses."""
    try:
        module = driver.load(module_text(forms))
        return {form.name: module for form in forms}, {}
    except DriverError as error:
        if len(forms) == 1:
            return {}, {forms[0].name: f"{error} {error.log}".strip()}
    middle = len(forms) // 2
    loaded, refused = modules(driver, forms[:middle])
    more, worse = modules(driver, forms[middle:])
    return loaded | more, refused | worse


def run(driver: Driver, arena: int, form: Form, module: c_void_p) -> list[bytes]:
    """Launch one form on fresh inputs and zeroed outputs; return the outputs."""
    addresses, offset = [], arena
    for array in form.arrays():
        offset += -offset % ALIGN
        driver.call("cuMemcpyHtoD_v2", offset, pointer_of(np.ascontiguousarray(array)), array.nbytes)
        addresses.append(offset)
        offset += array.nbytes
    outputs = [np.zeros(output.count, output.dtype) for output in form.outputs]
    starts = []
    for output in outputs:
        offset += -offset % ALIGN
        driver.call("cuMemsetD8_v2", offset, 0, output.nbytes + ALIGN)
        starts.append(offset)
        offset += output.nbytes + ALIGN
    arguments: list[object] = [driver.encode(spec, (addresses + starts)[spec.source]) for spec in form.maps]
    arguments += [c_uint64(address) for address in addresses + starts]
    arguments += [(c_char * len(value.raw)).from_buffer_copy(value.raw) for value in form.values]
    driver.launch(driver.function(module, form.name), form.grid, form.block, arguments)
    for output, start in zip(outputs, starts, strict=True):
        driver.call("cuMemcpyDtoH_v2", pointer_of(output), start, output.nbytes)
    return [output.tobytes() for output in outputs]


def emit(file: IO[bytes], *record: object) -> None:
    """Append one record, at once."""
    pickle.dump(record, file)
    file.flush()


def answer(driver: Driver, arena: int, form: Form, module: c_void_p, file: IO[bytes]) -> bool:
    """Run one form twice and record it; return whether the context is still usable."""
    emit(file, "start", form.name)
    try:
        first, second = (run(driver, arena, form, module) for _ in range(2))
    except DriverError as error:
        emit(file, "fault", form.name, str(error))
        return False
    if first != second:
        different = [i for i, (a, b) in enumerate(zip(first, second, strict=True)) if a != b]
        emit(file, "unstable", form.name, f"outputs {different} differ between two runs")
    else:
        emit(file, "ok", form.name, first)
    return True


def main() -> int:
    """Run the batch named on the command line."""
    batch, first, path = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    forms = batches(FORMS)[batch][first:]
    with path.open("ab") as file:
        driver = Driver()
        emit(file, "meta", driver.describe())
        loaded, refused = modules(driver, forms)
        arena = c_uint64()
        driver.call("cuMemAlloc_v2", arena, ARENA_BYTES)
        base = arena.value + -arena.value % ALIGN
        for form in forms:
            if form.name in refused:
                emit(file, "refused", form.name, refused[form.name])
            elif not answer(driver, base, form, loaded[form.name], file):
                return FAULT
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
