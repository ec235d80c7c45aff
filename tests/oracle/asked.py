"""Which executed forms of docs/ptx-coverage.md no row of the tables asks the GPU about.

The page's notation becomes a regular expression per form; every instruction of every row's PTX is held against it. A
form counts as asked as soon as one of its spellings stands in a program whose results are compared.
`PYTHONPATH=tests python -m oracle.asked` prints what `unasked.txt` must hold.
"""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path

from .forms import FORMS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "ptx-coverage.md"
ROW = re.compile(r"\| `(?P<pattern>[^`]+)`(?: \[`(?P<operands>[^`]+)`\])? \| executed \|")
INSTRUCTION = re.compile(
    r"^\s*(?:@!?%?\w+\s+)?(?P<name>[a-z][a-z0-9_]*(?:\.[\w:]+)*)(?:\s+(?P<operands>[^;]*))?;", re.MULTILINE
)
LABEL = re.compile(r"^\s*\w+:\s*", re.MULTILINE)
CLASS = re.compile(r"^\| `<(\w+)>` \| `([^`]+)` \|$", re.MULTILINE)


def page_rows() -> list[tuple[str, str]]:
    """Return pattern and operands (empty if these do not matter) of every executed form."""
    found = (ROW.match(line) for line in PAGE.read_text().splitlines())
    return [(m["pattern"].replace("\\|", "|"), (m["operands"] or "").replace("\\|", "|")) for m in found if m]


@cache
def classes() -> dict[str, str]:
    """Return each class as a regular expression."""
    return {name: f"(?:{'|'.join(members.split())})" for name, members in CLASS.findall(PAGE.read_text())}


def expression(pattern: str) -> re.Pattern[str]:
    """Return the regular expression for a pattern of the page."""
    text = re.sub(r"\{\.([^}]*)\}", r"(?:\\.\1)?", re.sub(r"\.(?![^{]*\})", r"\\.", pattern))
    text = re.sub(r"(?<!\?:)(?<!\w\))\((?!\?)", "(?:", text)
    return re.compile(re.sub(r"<(\w+)>", lambda m: classes()[m[1]], text))


def operand_expression(operands: str) -> re.Pattern[str]:
    """Return the regular expression for operands such as `%r, {%h*2}` or `%r, %(tid|ntid).(x|y)`."""
    if "n/" in operands:  # of wgmma: A in registers or described, whatever scales and signs follow
        return re.compile(r"\{[^}]*\},\s*" + (r"\{" if "{%r*4}" in operands else "%") + ".*", re.DOTALL)
    if operands in {"function", "%d, PROTOTYPE"}:
        return re.compile(r"(?:\([^)]*\),\s*)?" + ("%" if "%" in operands else "[^%]") + ".*", re.DOTALL)
    text = re.sub(r"\{[^}]*\}", "{}", operands)
    text = re.escape(text).replace(r"\(", "(?:").replace(r"\)", ")").replace(r"\|", "|")
    text = re.sub(r"%[hrdqpT](?!\w)", r"!?[%\\w.-]+", text).replace(r"\{\}", r"\{[^}]*\}")
    return re.compile(text.replace(r"\ ", r"\s*"))


@cache
def written() -> dict[str, set[str]]:
    """Return every instruction of the tables with the operands that it stands with."""
    found: dict[str, set[str]] = {}
    for text in {part for form in FORMS.values() for part in (form.text, form.prelude)}:
        for match in INSTRUCTION.finditer(LABEL.sub("", text)):
            found.setdefault(match["name"], set()).add((match["operands"] or "").strip())
    return found


def is_asked(pattern: str, operands: str) -> bool:
    """Return whether some row has an instruction of this form."""
    name, rest = expression(pattern), operand_expression(operands)
    hits = (seen for word, seen in written().items() if name.fullmatch(word))
    return any(not operands or any(rest.fullmatch(text) for text in seen) for seen in hits)


def unasked() -> list[str]:
    """Return the executed forms that no row asks about, as the page writes them."""
    return [f"{pattern} {operands}".strip() for pattern, operands in page_rows() if not is_asked(pattern, operands)]


if __name__ == "__main__":
    sys.stdout.write("".join(f"{line}\n" for line in unasked()))
