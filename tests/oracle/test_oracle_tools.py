"""The oracle's own parts: rules of comparison can say no, the file keeps what it is given, inputs never drift."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from . import samples
from .answers import load, save
from .form import entry_name, module_text
from .forms import BATCH, FORMS, batches
from .rules import EXACT, Rule


def words(*values: int, bits: int = 32) -> np.ndarray:
    return np.array(values, f"u{bits // 8}")


def floats(*values: float) -> np.ndarray:
    return np.array(values, np.float32).view(np.uint32)


def test_exact_rule_finds_one_wrong_bit() -> None:
    assert EXACT.mismatches(words(1, 2, 3), words(1, 2, 2)).tolist() == [2]


@pytest.mark.parametrize("rule", [EXACT, Rule("f32"), Rule("f32", ulp=2)])
def test_rules_tell_nan_payloads_apart_unless_asked(rule: Rule) -> None:
    found, expected = words(0x7FFFFFFF, 0x7FC00000), words(0x7FFFFFFF, 0x7FC00001)
    assert rule.mismatches(found, expected).tolist() == [1]
    assert replace(rule, type="f32", any_nan=True).mismatches(found, expected).tolist() == []


def test_any_nan_does_not_accept_a_number_for_a_nan() -> None:
    assert Rule("f32", any_nan=True).mismatches(words(0x7F800000), words(0x7FC00000)).tolist() == [0]


def test_ulp_rule_accepts_twice_its_bound_and_no_more() -> None:
    one = int(floats(1.0)[0])
    found = words(one + 2, one + 4, one + 5)
    assert Rule("f32", ulp=2).mismatches(found, words(one, one, one)).tolist() == [2]


def test_relative_rule_keeps_infinities_and_signs_of_large_values() -> None:
    found, expected = floats(np.inf, -8.0, 100.0), floats(3e38, 8.0, 100.01)
    assert Rule("f32", relative=2.0**-12).mismatches(found, expected).tolist() == [0, 1]


def test_packed_halves_are_judged_lane_by_lane() -> None:
    assert Rule("f16", any_nan=True).mismatches(words(0x7E01_3C00), words(0x7FFF_3C01)).tolist() == [0]


def test_stream_is_the_published_splitmix64() -> None:
    assert [hex(int(w)) for w in samples.stream(0, 2)] == ["0xe220a8397b1dcdaf", "0x6e789e6aa1b965f4"]


def test_crossed_specials_hold_every_pair_of_the_first() -> None:
    left, right = samples.tuples(("f32", "f32"), 384)
    pairs = set(zip(left.tolist(), right.tolist(), strict=True))
    first = samples.tuples(("f32",), 384)[0][:14].tolist()
    assert {(a, b) for a in first for b in first} <= pairs


def test_names_are_unique_identifiers_and_batches_hold_every_form_once() -> None:
    assert all(name == form.name == entry_name(name) for name, form in FORMS.items())
    assert [form.name for batch in batches(FORMS) for form in batch] == list(FORMS)
    assert max(map(len, batches(FORMS))) <= BATCH


def test_module_declares_shared_variables_once() -> None:
    forms = [form for form in FORMS.values() if form.family == "control"]
    assert module_text(forms).count(".func (.param .b32 result) oracle_collatz") == 1


def test_answers_come_back_as_they_were_saved(tmp_path: Path) -> None:
    add, vote = FORMS["add_u32"], FORMS["activemask_b32"]
    given = np.arange(add.outputs[0].count, dtype=np.uint32)
    records = {"add_u32": ("ok", [given.tobytes()]), vote.name: ("fault", "CUDA_ERROR_LAUNCH_FAILED")}
    save(tmp_path / "answers.npz", {"device": "none"}, records, FORMS)
    meta, found = load(tmp_path / "answers.npz")
    assert meta == {"device": "none"}
    assert np.array_equal(found["add_u32"].outputs[0], given)
    assert found["add_u32"].fingerprint == add.fingerprint()
    assert (found[vote.name].status, found[vote.name].detail) == ("fault", "CUDA_ERROR_LAUNCH_FAILED")
