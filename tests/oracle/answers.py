"""The file of recorded answers: one compressed `.npz`, equal outputs stored once, bytes of one significance together.

Member `index` is JSON: `meta` (device, driver, date) and per form its status, detail, fingerprint and outputs as
[bits, first element, count] in the member `u<bits>`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .form import Form

WIDTHS = (8, 16, 32, 64)


@dataclass(frozen=True)
class Answer:
    """What the GPU said: `status` is ok, refused, fault, timeout, unstable or not run."""

    status: str
    detail: str
    fingerprint: int
    outputs: tuple[np.ndarray, ...]


def save(path: Path, meta: dict[str, Any], records: dict[str, tuple[str, Any]], forms: dict[str, Form]) -> None:
    """Write records (status, then raw outputs if ok, text otherwise)."""
    seen: dict[tuple[int, bytes], int] = {}
    chunks: dict[int, list[np.ndarray]] = {width: [] for width in WIDTHS}
    filled = dict.fromkeys(WIDTHS, 0)
    index: dict[str, Any] = {}
    for name, (status, payload) in records.items():
        places = []
        for output, raw in zip(forms[name].outputs, payload if status == "ok" else [], strict=False):
            key = (output.bits, raw)
            if key not in seen:
                seen[key] = filled[output.bits]
                chunks[output.bits].append(np.frombuffer(raw, output.dtype))
                filled[output.bits] += output.count
            places.append([output.bits, seen[key], output.count])
        detail = "" if status == "ok" else str(payload)[:400]
        index[name] = [status, detail, forms[name].fingerprint(), places]
    text = json.dumps({"meta": meta, "forms": index}, separators=(",", ":")).encode()
    members = {f"u{w}": _planes(np.concatenate([np.zeros(0, f"u{w // 8}"), *chunks[w]])) for w in WIDTHS}
    np.savez_compressed(path, index=np.frombuffer(text, np.uint8), **members)  # type: ignore[arg-type]


def _planes(words: np.ndarray) -> np.ndarray:
    """Return shape (bytes per word, words): the same byte of all words side by side compresses better."""
    return np.ascontiguousarray(words.view(np.uint8).reshape(len(words), words.itemsize).T)


def load(path: Path) -> tuple[dict[str, Any], dict[str, Answer]]:
    """Return the metadata and the answers by form."""
    with np.load(path) as stored:
        index = json.loads(stored["index"].tobytes())
        words = {w: np.ascontiguousarray(stored[f"u{w}"].T).view(f"u{w // 8}").reshape(-1) for w in WIDTHS}
    found = {}
    for name, (status, detail, fingerprint, places) in index["forms"].items():
        outputs = tuple(words[bits][start : start + count] for bits, start, count in places)
        found[name] = Answer(status, detail, fingerprint, outputs)
    return index["meta"], found
