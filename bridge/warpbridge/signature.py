"""From a manifest to a Python signature, and from a Python call to one value per visible argument.

Only places and names are checked here, with the kernel and the argument in every text; what the values must be is the
native core's to check. Order: required arrays, optional arrays, scalars, then keyword-only options.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import ArgumentError

OPTIONS = ("out", "dtype", "arch", "timeout", "stream", "progress", "on_done")
_SHOWN_OPTIONS = ("out", "dtype", "timeout", "stream", "arch")


class Expression:
    """A default that the native core computes, shown as the manifest writes it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


@dataclass(frozen=True, slots=True)
class Argument:
    """One visible argument of a kernel, as its manifest describes it."""

    name: str
    is_array: bool
    is_output: bool
    is_workspace: bool
    is_written: bool
    dtype: str
    required: bool
    inline: bool
    default: Any
    summary: str
    shape: str = ""

    @property
    def kind(self) -> str:
        """What callers pass, for error texts."""
        if not self.is_array:
            return "a number"
        return "a sequence of numbers or an array" if self.inline else "an array"

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> Argument:
        """Read an `[[args]]` table."""
        is_array = entry["kind"] == "array"
        default = entry.get("default")
        return cls(
            entry["name"],
            is_array,
            is_array and entry.get("intent") == "out",
            bool(entry.get("workspace", False)),
            is_array and entry.get("intent") != "in",
            entry.get("dtype", ""),
            not entry.get("optional", False) if is_array else default is None,
            bool(entry.get("inline", False)),
            Expression(default) if isinstance(default, str) else default,
            entry.get("summary", ""),
            _shape_text(entry.get("shape", [])),
        )


def _shape_text(shape: Sequence[int | str]) -> str:
    """Return a manifest's shape as documentation has it: ``(n, d)``, or ``any shape``."""
    if any(str(item).endswith("...") for item in shape):
        return "any shape"
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})" if shape else ""


@dataclass(frozen=True, slots=True)
class Call:
    """A call, sorted out: `values` follow `CallShape.inputs`, None where left out."""

    values: list[Any]
    out: Any
    dtype: Any
    arch: str | None
    timeout: float | None
    stream: Any
    progress: Any
    on_done: Any


class CallShape:
    """How a kernel is called.

    Attributes
    ----------
    name : str
        The kernel's.
    visible : tuple of Argument
        Arrays and scalars in manifest order, as the native core takes them.
    inputs : tuple of Argument
        Those that are passed, in Python's order.
    outputs : tuple of Argument
        Those that ``out=`` takes.
    made : tuple of Argument
        Those that are allocated where they are not given: the outputs, and workspace, which is never given.
    signature : inspect.Signature
        For `help` and `inspect`.
    """

    def __init__(self, name: str, visible: Sequence[Argument], free_dtypes: Sequence[str]) -> None:
        self.name = name
        self.visible = tuple(visible)
        self.free_dtypes = tuple(free_dtypes)
        self.made = tuple(a for a in visible if a.is_output)
        self.outputs = tuple(a for a in self.made if not a.is_workspace)
        inputs = [a for a in visible if not a.is_output]
        self.inputs = (
            *(a for a in inputs if a.is_array and a.required),
            *(a for a in inputs if a.is_array and not a.required),
            *(a for a in inputs if not a.is_array),
        )
        self._places = {argument.name: place for place, argument in enumerate(self.inputs)}
        self.signature = self._signature()
        self._positional = sum(p.kind is p.POSITIONAL_OR_KEYWORD for p in self.signature.parameters.values())

    def __str__(self) -> str:
        return f"{self.name}{self.signature}"

    def parse(self, args: Sequence[Any], keywords: Mapping[str, Any], options: Sequence[str]) -> Call:
        """Sort a call's arguments by place.

        Parameters
        ----------
        args, keywords
            As passed.
        options
            Which of `OPTIONS` this call style takes.

        Raises
        ------
        ArgumentError
            One is missing, unknown, given twice, or there are too many.
        """
        if len(args) > self._positional:
            raise ArgumentError(
                f"{self.name}: {len(args)} arguments given by place, expected at most {self._positional}: {self}",
                kernel=self.name,
                found=len(args),
                expected=self._positional,
            )
        values: list[Any] = [None] * len(self.inputs)
        values[: len(args)] = args
        chosen: dict[str, Any] = dict.fromkeys(OPTIONS)
        for name, value in keywords.items():
            place = self._places.get(name)
            if place is None:
                if name not in options or (name == "dtype" and not self.free_dtypes):
                    raise self._unknown(name, options)
                chosen[name] = value
            elif place < len(args):
                raise ArgumentError(
                    f"{self._at(place)} is given twice, by place and by name, expected once",
                    **self.fields(self.inputs[place]),
                )
            else:
                values[place] = value
        for place, argument in enumerate(self.inputs):
            if values[place] is None and argument.required:
                is_given = place < len(args) or argument.name in keywords
                found = f"None, expected {argument.kind}:" if is_given else "missing, expected"
                raise ArgumentError(f"{self._at(place)} is {found} {self}", **self.fields(self.inputs[place]))
        return Call(values=values, **chosen)

    def described(self, argument: Argument) -> str:
        """Open an error text about an argument."""
        if argument.is_workspace:
            return f"{self.name}: workspace {argument.name}"
        if argument.is_output:
            place = f"[{self.outputs.index(argument)}]" if len(self.outputs) > 1 else ""
            return f"{self.name}: out{place} ({argument.name})"
        return self._at(self._places[argument.name])

    def _at(self, place: int) -> str:
        return f"{self.name}: argument {place + 1} ({self.inputs[place].name})"

    def fields(self, argument: Argument) -> dict[str, Any]:
        """Return what an error about an argument has as fields: an output has no place in the call."""
        place = self._places.get(argument.name)
        return {"kernel": self.name, "argument": argument.name, "index": None if place is None else place + 1}

    def _unknown(self, name: str, options: Sequence[str]) -> ArgumentError:
        if name == "dtype":
            text = f"{self.name}: dtype= is given, expected none: the dtypes of its outputs follow from its inputs"
        elif name in (a.name for a in self.made if a.is_workspace):
            text = f"{self.name}: workspace {name} is given, expected none: it is allocated; bind the call to keep it"
        elif name in (a.name for a in self.outputs):
            text = f"{self.name}: output {name} is given by name, expected it as out="
        elif name in OPTIONS:
            text = f"{self.name}: {name}= is given, expected only {', '.join(options)} in this call style"
        else:
            text = f"{self.name}: {name!r} is no argument of it, expected {self}"
        return ArgumentError(text, kernel=self.name, argument=name)

    def _signature(self) -> inspect.Signature:
        parameters = []
        kind: Any = inspect.Parameter.POSITIONAL_OR_KEYWORD
        optional_seen = False
        for argument in self.inputs:
            if argument.required and optional_seen:  # a required scalar behind an optional array: by name only
                kind = inspect.Parameter.KEYWORD_ONLY
            optional_seen |= not argument.required
            default = inspect.Parameter.empty if argument.required else argument.default
            parameters.append(inspect.Parameter(argument.name, kind, default=default))
        for option in _SHOWN_OPTIONS:
            if (option != "out" or self.outputs) and (option != "dtype" or self.free_dtypes):
                parameters.append(inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=None))
        return inspect.Signature(parameters)
