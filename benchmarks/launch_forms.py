"""What each form of a call costs on the host, beside the cheapest form of the same run.

    python benchmarks/launch_forms.py --cpu [--markdown FILE]   the CPU device, without a GPU
    python benchmarks/launch_forms.py                           the GPU; or the tests' stand-in for the driver, as
                                                                `launch.py` describes, with CuPy arrays over host memory

One kernel that returns at once, with three arrays and two numbers, called as users call it: by place and by name, with
numbers that change, with outputs given and made, with arrays of several sizes in turn. Method: every form in turn, so
that drift hits all; process time, because the machine may be busy; the least of the rounds. Beside each stands how many
calls of a hundred took the long way, through Python and all checks.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from launch_ptx import COUNT, adder, idle
from places import Cpu, gpu, title
from warpbridge import calls
from warpbridge.entry import Entry
from warpbridge.kernel import Kernel

ROUNDS = 9
CALLS = 4000
CALLS_ON_CPU = 400
SAMPLE = 100
MANY = 32
VALUES = [0.001 * step for step in range(97)]


@dataclass
class Form:
    """A way to call; `call` makes one call."""

    name: str
    call: Callable[[], Any]
    warm_up: int = 4
    seconds: list[float] = field(default_factory=list)
    missed: int = 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cpu", action="store_true", help="measure the CPU device")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--calls", type=int, default=0, help="calls of each form in a round")
    parser.add_argument(
        "--sample", type=int, default=SAMPLE, help="calls of which those that go the long way are counted"
    )
    parser.add_argument("--markdown", type=Path, help="also write the table there")
    arguments = parser.parse_args()
    place: Any = Cpu() if arguments.cpu else gpu()
    found = list(forms(place))
    calls_each = arguments.calls or (CALLS_ON_CPU if arguments.cpu else CALLS)
    measure(found, place, arguments.rounds, calls_each, arguments.sample)
    text = header(place) + table(found, arguments.sample)
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text, encoding="utf-8")
    return 0


def forms(place: Any) -> Iterator[Form]:
    """Yield the forms, the cheapest first."""
    module = idle()
    kernel, entry, stream = module.kernels["idle"], module.entries["idle"], place.stream
    library, arrays = next(iter(place.arrays(3, COUNT).items()))
    x, y, z = arrays
    values, steps = itertools.cycle(VALUES), itertools.cycle(range(97))
    narrow = itertools.cycle([np.float32(value) for value in VALUES])
    whole = itertools.cycle([np.int64(value) for value in range(97)])
    launch, out, args = kernel.launch, (y, z), [x, y, z, 2.0, 3]
    bound = kernel.bind(x, 2.0, 3, out=out)
    a, n = np.float32(2), np.int64(3)
    yield Form("bound.launch(stream)", lambda: bound.launch(stream))
    plain, (u, v, w) = adder(3).launch, next(iter(place.arrays(3, COUNT).values()))
    yield Form("kernel.launch(x, y, out=z, stream=s)", lambda: plain(u, v, out=w, stream=stream))
    yield Form("kernel.launch(x, 2.0, 3, out=(y, z), stream=s)", lambda: launch(x, 2.0, 3, out=(y, z), stream=stream))
    yield Form("... out=[y, z]", lambda: launch(x, 2.0, 3, out=[y, z], stream=stream))
    yield Form("... out=out, one tuple", lambda: launch(x, 2.0, 3, out=out, stream=stream))
    yield Form("... by keyword", lambda: launch(x=x, a=2.0, n=3, out=(y, z), stream=stream))
    yield Form("... a float that changes", lambda: launch(x, next(values), 3, out=(y, z), stream=stream))
    yield Form("... an int that changes", lambda: launch(x, 2.0, next(steps), out=(y, z), stream=stream))
    yield Form("... NumPy scalars", lambda: launch(x, a, n, out=(y, z), stream=stream))
    yield Form("... NumPy scalars that change", lambda: launch(x, next(narrow), next(whole), out=(y, z), stream=stream))
    yield Form("... the stream's number", lambda: launch(x, 2.0, 3, out=(y, z), stream=place.handle))
    if place.makes_arrays:
        yield Form("... outputs not given", lambda: launch(x, 2.0, 3, stream=stream))
        yield Form("... one output not given", lambda: launch(x, 2.0, 3, out=(y, None), stream=stream))
        yield Form(f"({library}'s own empty, twice)", lambda: (place.empty(COUNT), place.empty(COUNT)))
    for count in (2, 3, 16, MANY, MANY + 1):
        yield Form(f"... {count} sizes in turn", sizes_in_turn(place, launch, count), 2 * count)
    yield Form("kernel.launch(x, 2.0, 3, out=(x, z), stream=s), in place", in_place(kernel, x, z, stream))
    yield Form("entry.launch(1, 32, [x, y, z, 2.0, 3], stream=s)", entry_call(entry, x, y, z, stream))
    yield Form("entry.launch(1, 32, args, stream=s), one list", lambda: entry.launch(1, 32, args, stream=stream))
    yield Form(
        "entry.launch, a float that changes", lambda: entry.launch(1, 32, [x, y, z, next(values), 3], stream=stream)
    )
    yield Form("bound(stream=s)", lambda: bound(stream=stream))
    yield Form("kernel(x, 2.0, 3, out=(y, z), stream=s)", lambda: kernel(x, 2.0, 3, out=(y, z), stream=stream))
    yield Form("kernel(), a float that changes", lambda: kernel(x, next(values), 3, out=(y, z), stream=stream))
    if place.makes_arrays:
        yield Form("kernel(x, 2.0, 3)", lambda: kernel(x, 2.0, 3))
    yield Form("entry(1, 32, [x, y, z, 2.0, 3], stream=s)", lambda: entry(1, 32, [x, y, z, 2.0, 3], stream=stream))


def in_place(kernel: Any, x: Any, z: Any, stream: Any) -> Callable[[], Any]:
    return lambda: kernel.launch(x, 2.0, 3, out=(x, z), stream=stream)


def entry_call(entry: Any, x: Any, y: Any, z: Any, stream: Any) -> Callable[[], Any]:
    return lambda: entry.launch(1, 32, [x, y, z, 2.0, 3], stream=stream)


def sizes_in_turn(place: Any, launch: Any, count: int) -> Callable[[], Any]:
    """Return a call whose arrays have another size each time, so many in all."""
    sets = [next(iter(place.arrays(3, COUNT - 8 * index).values())) for index in range(count)]
    turn, stream = itertools.cycle(sets), place.stream

    def call() -> Any:
        x, y, z = next(turn)
        return launch(x, 2.0, 3, out=(y, z), stream=stream)

    return call


def measure(found: list[Form], place: Any, rounds: int, calls: int, sample: int) -> None:
    """Fill times and misses, all forms in turn."""
    for form in found:
        repeat(form.call, form.warm_up)
        form.missed = long_ways(form.call, sample)
        place.synchronize()
    for _ in range(rounds):
        for form in found:
            start = time.process_time()
            repeat(form.call, calls)
            place.synchronize()
            form.seconds.append((time.process_time() - start) / calls)


def repeat(call: Callable[[], Any], times: int) -> None:
    for _ in range(times):
        call()


def long_ways(call: Callable[[], Any], sample: int) -> int:
    """Return how many of so many calls take the long way."""
    count = 0

    def counted(original: Any) -> Any:
        def missed(*arguments: Any) -> Any:
            nonlocal count
            count += 1
            return original(*arguments)

        return missed

    names = ("_missed_launch", "_missed_run")
    before = [(owner, name, getattr(owner, name)) for owner in (Kernel, Entry) for name in names]
    for owner, name, original in before:
        setattr(owner, name, counted(original))
    try:
        repeat(call, sample)
    finally:
        for owner, name, original in before:
            setattr(owner, name, original)
    return count


def table(found: list[Form], sample: int) -> str:
    """Return the forms as Markdown."""
    best = min(found[1].seconds)
    lines = [f"| form | us per call | ratio to the second | long way, of {sample} |", "|---|---|---|---|"]
    for form in found:
        least = min(form.seconds)
        lines.append(f"| `{form.name}` | {1e6 * least:.2f} | {least / best:.2f} | {form.missed} |")
    return "\n".join(lines) + "\n"


def header(place: Any) -> str:
    """Say what was measured, where and when."""
    names = [] if place.name == "cpu" else ["cupy-cuda13x"]
    learns = "" if calls.is_available() else " Learning is turned off (`WARPBRIDGE_LEARN=0`)."
    return title(
        "What the forms of a call cost",
        place,
        names,
        f"Three float32 arrays of {COUNT} elements, a float and an int; a kernel that returns at once. Process time, "
        f"least of the rounds. Made by `benchmarks/launch_forms.py`.{learns}",
    )


if __name__ == "__main__":
    sys.exit(main())
