"""The CPU device gives the GPU's answers: every form of the tables, bit for bit unless the ISA leaves the result open.

`answers.npz` was recorded on a GPU (`record.py`); `unsupported.txt` lists the forms that the CPU device does not know
yet, `unanswered.txt` the rows that no GPU has been asked yet, `unasked.txt` the executed forms that have no row.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from . import asked, cpu
from .answers import Answer, load
from .form import Form
from .forms import FORMS

HERE = Path(__file__).parent
ANSWERS = HERE / "answers.npz"
UNSUPPORTED = frozenset((HERE / "unsupported.txt").read_text().split())
UNANSWERED = frozenset((HERE / "unanswered.txt").read_text().split())
SHOWN = 5


@pytest.fixture(scope="session")
def answers() -> dict[str, Answer]:
    if not ANSWERS.exists():
        pytest.fail(f"found no {ANSWERS.name}; run `PYTHONPATH=tests python -m oracle.record tests/oracle` on a GPU")
    return load(ANSWERS)[1]


def differences(form: Form, number: int, found: np.ndarray, expected: np.ndarray) -> list[str]:
    """Return one line per wrong element of output `number`, the first few in full."""
    wrong = form.outputs[number].rule.mismatches(found, expected)
    if not len(wrong):
        return []
    lines = [f"output {number}: {len(wrong)} of {found.size} elements differ from the GPU's ({form.instruction})"]
    ratio = max(len(form.outputs[number].rule.lanes(found)) // len(found), 1)
    arrays = form.arrays() if form.crossed else []
    for place in dict.fromkeys(int(w) // ratio for w in wrong):
        given = ", ".join(f"{int(a[place]):#x}" for a in arrays)
        lines.append(
            f"  element {place}: inputs ({given}), found {int(found[place]):#x}, GPU {int(expected[place]):#x}"
        )
        if len(lines) > SHOWN:
            break
    return lines


def test_every_form_has_an_answer_to_its_present_question_or_waits_for_one(answers: dict[str, Answer]) -> None:
    stale = [n for n, form in FORMS.items() if n not in answers or answers[n].fingerprint != form.fingerprint()]
    assert sorted(UNANSWERED - set(stale)) == [], "these have an answer: remove them from unanswered.txt"
    stale = [n for n in stale if n not in UNANSWERED]
    failed = [
        f"{n}: {answers[n].status}: {answers[n].detail}" for n in FORMS if n in answers and answers[n].status != "ok"
    ]
    unknown = [n for n in answers if n not in FORMS]
    assert (stale, failed, unknown) == ([], [], []), "record again on a GPU, or remove the rows"


def refused(form: Form) -> bool:
    """Tell whether the CPU device does not load a form."""
    try:
        cpu.load(form)
    except cpu.Unsupported:
        return True
    return False


def test_forms_without_an_answer_run_on_the_cpu_device() -> None:
    for name in sorted(UNANSWERED - UNSUPPORTED):
        outputs = cpu.run(FORMS[name])
        assert [o.size for o in outputs] == [o.count for o in FORMS[name].outputs], name


def test_unasked_lists_the_executed_forms_that_no_row_asks_about() -> None:
    lines = (HERE / "unasked.txt").read_text().splitlines()
    listed = [line for line in lines if not line.startswith("#")]
    assert sorted(listed) == sorted(asked.unasked()), (
        "run `PYTHONPATH=tests python -m oracle.asked`: a new form needs a row"
    )


def test_unsupported_lists_exactly_what_is_refused_when_loaded() -> None:
    assert {name for name, form in FORMS.items() if refused(form)} == UNSUPPORTED


@pytest.mark.parametrize("name", [n for n in FORMS if n not in UNSUPPORTED | UNANSWERED])
def test_form_answers_like_the_gpu(name: str, answers: dict[str, Answer]) -> None:
    form, answer = FORMS[name], answers[name]
    lines: list[str] = []
    for number, (found, expected) in enumerate(zip(cpu.run(form), answer.outputs, strict=True)):
        lines += differences(form, number, found, expected)
    assert not lines, "\n".join(lines)
