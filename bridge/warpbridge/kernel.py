"""A kernel with a manifest: called like a function, checked like one.

The manifest gives the signature; the native core checks the values; the arrays' own library allocates the outputs. The
call styles themselves are `bound.py`'s.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from . import _ffi, calls, waiting
from .arguments import aligned, as_array, as_inline, as_scalar
from .bound import Bound
from .buffer import CPU, CUDA, Buffer
from .checked import Checked
from .errors import ArgumentError
from .pending import Pending
from .pickling import Origin, Source, Travels, reduce_kernel
from .signature import Argument, Call, CallShape
from .stream import handle_of
from .trace import Trace
from .uses import Use, Uses

_BIND_OPTIONS = ("out", "dtype", "arch")
_LAUNCH_OPTIONS = (*_BIND_OPTIONS, "stream")
_SUBMIT_OPTIONS = (*_LAUNCH_OPTIONS, "timeout", "on_done")
_CALL_OPTIONS = (*_LAUNCH_OPTIONS, "timeout", "progress")


class Kernel(Travels):
    """A kernel: ``k(x, ...)`` blocks, ``k.submit`` returns a Pending, ``k.launch`` queues, ``k.bind`` checks once.

    Made by `load` (with a manifest) and by `warpbridge.kernels`. Its own arguments are in ``help(k)`` and
    ``inspect.signature(k)``. Every call style takes these options by name:

    out
        The output array, or a tuple where there are several (None in it: to be allocated). Default: new arrays of the
        first array's library, on its device.
    dtype
        The outputs' dtype, where it does not follow from the inputs.
    arch
        The least architecture of the variant to run, e.g. ``"sm_80"``; default: the best for the device.
    stream
        Where to queue; default: the current stream of the first array's library.
    timeout
        Seconds until the kernel is asked to stop (not for ``launch``).
    progress
        True: a blocking call shows how far the kernel is, with tqdm where it is installed.
    """

    def __init__(self, module: _ffi.Handle, name: str, origin: Origin) -> None:
        self._handle = _ffi.kernel_get(module, name)
        self._manifest = _ffi.kernel_info(self._handle)
        files = [variant["ptx"] for variant in self._manifest["variants"]]
        self._origin = origin.with_variants(files) if isinstance(origin, Source) else origin
        by_name = {entry["name"]: Argument.read(entry) for entry in self._manifest["args"] if "kind" in entry}
        visible = [by_name[item] for item in self._manifest["visible"]]
        self._shape = CallShape(name, visible, _free_dtypes(visible, self._manifest.get("dtypes") or {}))
        self._items = {"out": [a.name for a in self._shape.outputs]}
        self._described = {a.name: self._shape.described(a) for a in visible}
        self.__name__ = self.__qualname__ = name
        self.__signature__ = self._shape.signature
        self.__doc__ = _documentation(self._shape, self._manifest)
        if calls.is_available():
            calls.install(self, self)  # `launch` and `_run` again, without Python code for calls seen before

    def __repr__(self) -> str:
        return f"<Kernel {self._shape}>"

    def __reduce__(self) -> Any:
        return reduce_kernel(self, self._origin)

    @property
    def manifest(self) -> Mapping[str, Any]:
        """The manifest, as the native core understood it."""
        return self._manifest

    @property
    def summary(self) -> str:
        """One line about it."""
        return str(self._manifest.get("summary", ""))

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        """Run and wait.

        Returns
        -------
        Any
            The output, a tuple of several, or None for a kernel without outputs.

        Raises
        ------
        ArgumentError
            An argument does not fit.
        LaunchTimeout
            The kernel did not end in time.
        KernelFault, LaunchError
            It failed.
        """
        return self._run(*args, **keywords)

    def _run(self, *args: Any, **keywords: Any) -> Any:
        call = self._shape.parse(args, keywords, _CALL_OPTIONS)
        checked = self._check(call)
        return _handed_back(checked.run(call.timeout, call.stream, call.progress), call, checked.buffers)

    def submit(self, *args: Any, **keywords: Any) -> Pending:
        """Run and return at once; ``on_done=f`` is called with the Pending at the end.

        Returns
        -------
        Pending
            A `concurrent.futures.Future` of what a blocking call returns.

        Raises
        ------
        ArgumentError
            An argument does not fit.
        """
        call = self._shape.parse(args, keywords, _SUBMIT_OPTIONS)
        return self._check(call).submit(call.on_done, call.timeout, call.stream)

    def launch(self, *args: Any, **keywords: Any) -> Any:
        """Queue on a stream and return the outputs at once.

        Raises
        ------
        ArgumentError
            An argument does not fit.
        """
        call = self._shape.parse(args, keywords, _LAUNCH_OPTIONS)
        return self._check(call).launch(call.stream)

    def trace(self, *args: Any, **keywords: Any) -> Trace:
        """Run on the CPU device and return a record of what each role did; `Bound.trace` has its options.

        Raises
        ------
        ArgumentError
            An argument does not fit, or the arrays are on a GPU.
        """
        return self.bind(*args, **keywords).trace()

    def bind(self, *args: Any, **keywords: Any) -> Bound:
        """Check the arguments once, for many launches.

        Raises
        ------
        ArgumentError
            An argument does not fit.
        """
        return Bound(self._check(self._shape.parse(args, keywords, _BIND_OPTIONS)))

    _finish = staticmethod(waiting.finish)

    def _missed_launch(self, values: tuple[Any, ...], positional: int, names: tuple[str, ...] | None) -> Any:
        """Take the long way for `launch`; return the result, and how to repeat the call."""
        call, called = self._sort(values, positional, names or (), _LAUNCH_OPTIONS)
        checked = self._check(call)
        return checked.launch(call.stream), checked.recipe(values, called, self._items, True)

    def _missed_run(self, values: tuple[Any, ...], positional: int, names: tuple[str, ...] | None) -> Any:
        """Take the long way for a blocking call."""
        call, called = self._sort(values, positional, names or (), _CALL_OPTIONS)
        checked = self._check(call)
        result = checked.run(call.timeout, call.stream, call.progress)
        back = _handed_back(result, call, checked.buffers)
        return back, checked.recipe(values, called, self._items, False)

    def _sort(
        self, values: tuple[Any, ...], positional: int, names: Sequence[str], options: Sequence[str]
    ) -> tuple[Call, Sequence[str]]:
        """Return the call, and what each value is called."""
        keywords = dict(zip(names, values[positional:], strict=True))
        call = self._shape.parse(values[:positional], keywords, options)
        return call, (*(a.name for a in self._shape.inputs[:positional]), *names)

    def _check(self, call: Call) -> Checked:
        given = dict(zip((a.name for a in self._shape.outputs), self._outputs_given(call.out), strict=True))
        values = self._values(call)
        buffers = [value for value in values.values() if isinstance(value, Buffer)]
        arrays = [given.get(a.name) for a in self._shape.made]
        for argument, obj in zip(self._shape.made, arrays, strict=True):
            values[argument.name] = None if obj is None else self._array(argument, obj)
        choices = self._choices(call)
        if any(obj is None for obj in arrays):
            arrays = self._allocate(values, buffers, choices, arrays, call.stream)
        outputs = [value for a in self._shape.made if isinstance(value := values[a.name], Buffer)]
        ordered = [values[a.name] for a in self._shape.visible]
        handle = _ffi.kernel_bind(self._handle, ordered, choices)
        made = zip(self._shape.made, arrays, strict=True)
        results = [array for argument, array in made if not argument.is_workspace]
        result = None if not results else results[0] if len(results) == 1 else tuple(results)
        ranges = {a.name: value for a in self._shape.visible if isinstance(value := values[a.name], Buffer)}
        return Checked(self.__name__, handle, (*buffers, *outputs), result, ranges, self._uses(values))

    def _uses(self, values: Mapping[str, _ffi.Value]) -> Uses:
        """Return the arrays that another API uses too, and what the kernel does with them."""
        found = []
        for argument in self._shape.visible:
            value = values[argument.name]
            if isinstance(value, Buffer) and value.hand_over is not None:
                described, fields = self._described[argument.name], self._fields(argument)
                found.append(Use(value.hand_over, not argument.is_output, argument.is_written, described, fields))
        return Uses.of(found)

    def _values(self, call: Call) -> dict[str, _ffi.Value]:
        """Convert the inputs; inline arrays last, because the others say where the launch runs."""
        given = dict(zip((a.name for a in self._shape.inputs), call.values, strict=True))
        values: dict[str, _ffi.Value] = dict.fromkeys(given)
        on_host = True
        for argument in sorted(self._shape.inputs, key=lambda a: a.inline):
            obj = given[argument.name]
            if obj is None:
                continue
            described, fields = self._described[argument.name], self._fields(argument)
            if not argument.is_array:
                values[argument.name] = as_scalar(obj, described, fields)
            elif argument.inline:
                values[argument.name] = as_inline(obj, argument.dtype, on_host, described, fields)
            else:
                buffer = self._array(argument, obj)
                if buffer.pointer & 7 and not argument.is_written:
                    buffer = self._array(argument, aligned(obj))
                values[argument.name] = buffer
                on_host &= buffer.device_type == CPU
        return values

    def _outputs_given(self, out: Any) -> list[Any]:
        """Return one object per output, None where it is to be allocated."""
        wanted = self._shape.outputs
        if out is None:
            return [None] * len(wanted)
        given = list(out) if isinstance(out, tuple | list) else [out]
        if len(given) != len(wanted):
            names = ", ".join(a.name for a in wanted)
            raise ArgumentError(
                f"{self.__name__}: out has {len(given)} array{'s' * (len(given) != 1)}, expected {len(wanted)}"
                f"{f' ({names})' if names else ''}",
                kernel=self.__name__,
                argument="out",
                found=len(given),
                expected=len(wanted),
            )
        return given

    def _allocate(
        self, values: dict[str, _ffi.Value], buffers: list[Buffer], choices: str | None, given: list[Any], stream: Any
    ) -> list[Any]:
        """Make the missing outputs in the first array's library; `values` gets their claims."""
        if not buffers:
            raise ArgumentError(
                f"{self.__name__}: no array is given that says where outputs are to be made, expected out=",
                kernel=self.__name__,
                argument="out",
            )
        ordered = [values[a.name] for a in self._shape.visible]
        specs = _ffi.kernel_infer(self._handle, ordered, choices, len(given))
        first = buffers[0]
        handle = None
        if stream is not None and first.device_type == CUDA:
            handle = handle_of(stream, "cuda", first.device_name, self.__name__)
        made = []
        for argument, obj, spec in zip(self._shape.made, given, specs, strict=True):
            array = obj
            if obj is None:
                try:
                    array = first.empty(spec.shape, spec.dtype, handle)
                except ArgumentError as error:
                    raise ArgumentError(f"{self.__name__}: {error}", **self._fields(argument)) from None
                values[argument.name] = self._array(argument, array)
            made.append(array)
        return made

    def _array(self, argument: Argument, obj: Any) -> Buffer:
        described, fields = self._described[argument.name], self._fields(argument)
        buffer = as_array(obj, described, fields)
        if buffer.hand_over is not None:
            try:
                buffer.hand_over.allow(not argument.is_output, argument.is_written)
            except ArgumentError as error:
                raise ArgumentError(f"{described}: {error}", **{**error.fields, **fields}) from None
        return buffer

    def _fields(self, argument: Argument) -> dict[str, Any]:
        return self._shape.fields(argument)

    def _choices(self, call: Call) -> str | None:
        """Return the dtypes and the variant asked for, as the native core reads them."""
        items = []
        if call.dtype is not None:
            chosen = call.dtype if isinstance(call.dtype, Mapping) else {self._shape.free_dtypes[0]: call.dtype}
            items += [f"{variable}={dtype_name(dtype)}" for variable, dtype in chosen.items()]
        if call.arch is not None:
            items.append(f"arch={call.arch}")
        return ",".join(items) or None


def _handed_back(result: Any, call: Call, buffers: Sequence[Buffer]) -> Any:
    """Return a finished call's new outputs as arrays of the first array's library, where only now it can have them."""
    hand_back = getattr(buffers[0].library, "hand_back", None) if buffers and call.out is None else None
    if hand_back is None or result is None:
        return result
    return tuple(map(hand_back, result)) if isinstance(result, tuple) else hand_back(result)


def dtype_name(dtype: Any) -> str:
    """Return the manifest's name of a dtype given as text, or as NumPy, CuPy or PyTorch write it."""
    if isinstance(dtype, str):
        return dtype
    if getattr(dtype, "isnative", True) is False:  # NumPy's, of the other byte order, which its name leaves out
        return str(dtype.str)
    name = getattr(dtype, "name", None) or getattr(dtype, "__name__", None) or str(dtype)
    return str(name).removeprefix("torch.")


def _free_dtypes(visible: list[Argument], variables: Mapping[str, Any]) -> list[str]:
    """Return the dtype variables that occur in outputs only: the caller may choose them."""
    fixed = {a.dtype for a in visible if not a.is_output}
    return [name for name in variables if name not in fixed]


def _documentation(shape: CallShape, manifest: Mapping[str, Any]) -> str:
    """Write the docstring, NumPy style."""
    dtypes: Mapping[str, Sequence[str]] = manifest.get("dtypes") or {}
    lines = [str(manifest.get("summary", shape.name)), ""]
    doc = str(manifest.get("doc") or "").strip()
    if doc:
        lines += [doc, ""]
    for title, arguments in (("Parameters", shape.inputs), ("Returns", shape.outputs)):
        if arguments:
            lines += [title, "-" * len(title)]
        for argument in arguments:
            lines += [f"{argument.name} : {_kind(argument, dtypes)}", f"    {argument.summary}"]
        lines.append("")
    return inspect.cleandoc("\n".join(lines))


def _kind(argument: Argument, dtypes: Mapping[str, Sequence[str]]) -> str:
    dtype = " or ".join(dtypes.get(argument.dtype, [argument.dtype]))
    if not argument.is_array:
        return dtype if argument.required else f"{dtype}, default {argument.default!r}"
    kind = f"array of {dtype}, {argument.shape}" + (", or a sequence of numbers" if argument.inline else "")
    return kind if argument.required or argument.is_output else f"{kind}, optional"
