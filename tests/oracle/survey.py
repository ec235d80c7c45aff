"""Counts per family how the CPU device stands: `PYTHONPATH=tests python -m oracle.survey [--write]`.

`--write` makes `unsupported.txt` anew from what the CPU device refuses when it loads a form; `test_oracle.py` judges.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import warpbridge as wb

from . import cpu
from .answers import Answer, load
from .form import Form
from .forms import FORMS

HERE = Path(__file__).parent


def standing(form: Form, answer: Answer | None) -> str:
    """Return right, wrong, fault, refused, or no answer."""
    try:
        found = cpu.run(form)
    except cpu.Unsupported:
        return "refused"
    except wb.WarpbridgeError:
        return "fault"
    if answer is None or answer.fingerprint != form.fingerprint() or answer.status != "ok":
        return "no answer"
    pairs = zip(form.outputs, found, answer.outputs, strict=True)
    return "wrong" if any(len(o.rule.mismatches(a, b)) for o, a, b in pairs) else "right"


def main() -> None:
    """Print the counts, and the names of what is wrong or faults."""
    path = HERE / "answers.npz"
    answers = load(path)[1] if path.exists() else {}
    found = {name: standing(form, answers.get(name)) for name, form in FORMS.items()}
    counts = Counter((FORMS[name].family, state) for name, state in found.items())
    for (family, state), count in sorted(counts.items()):
        print(f"{family:12} {state:10} {count:5}")
    print(*(f"{state}: {name}" for name, state in found.items() if state in {"wrong", "fault"}), sep="\n")
    if "--write" in sys.argv:
        refused = [name for name, state in found.items() if state == "refused"]
        (HERE / "unsupported.txt").write_text("".join(f"{name}\n" for name in refused))


if __name__ == "__main__":
    main()
