"""Fuzzes every target for a while: `python fuzz/run.py [SECONDS] [TARGET ...]`; see README.md.

Seeds are the repository's own PTX and manifests, and the programs of the GPU's answers (tests/oracle). New inputs stay
in fuzz/corpus, findings in fuzz/artifacts; neither is committed. Exit status 1 if any target found something.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

FUZZ = Path(__file__).resolve().parent
ROOT = FUZZ.parent
LIMITS = [
    "-timeout=25",
    "-rss_limit_mb=3072",
    "-malloc_limit_mb=2048",
    "-close_fd_mask=1",
    "-print_final_stats=1",
    "-len_control=0",
]
TEXT = [f"-dict={FUZZ / 'ptx.dict'}", "-max_len=65536"]
TARGETS = {
    "load": TEXT,
    "structured": ["-max_len=256"],
    "launch": ["-max_len=256"],
    "abi": TEXT,
    "manifest": ["-max_len=8192"],
}


def oracle_programs(folder: Path) -> None:
    """Write the modules that the GPU's answers were asked with, one file each."""
    sys.path.insert(0, str(ROOT / "tests"))
    from oracle.form import module_text
    from oracle.forms import FORMS

    folder.mkdir(parents=True, exist_ok=True)
    for form in FORMS.values():
        (folder / f"{form.name[:120]}.ptx").write_text(module_text([form]))


def seed(target: str, programs: Path) -> Path:
    """Return the corpus folder of a target with its seeds in it."""
    corpus = FUZZ / "corpus" / target
    corpus.mkdir(parents=True, exist_ok=True)
    texts = [
        *ROOT.glob("kernels/ptx/*.ptx"),
        *ROOT.glob("tests/compiled/ptx/*.ptx"),
        *ROOT.glob("emulator/tests/ptx/**/*.ptx"),
    ]
    if target in {"load", "abi"}:
        for path in [*texts, *programs.glob("*.ptx")]:
            shutil.copy(path, corpus / path.name)
    manifests = ROOT.glob("kernels/*.toml")
    for path in manifests if target in {"manifest", "abi"} else []:
        text = path.read_bytes()
        beside = texts[0].read_bytes() + b"\xff" if target == "abi" else b""
        (corpus / path.name).write_bytes(beside + text)
    return corpus


def main() -> int:
    """Run the targets one after the other."""
    seconds = sys.argv[1] if len(sys.argv) > 1 else "120"
    programs = FUZZ / "programs"
    oracle_programs(programs)
    environment = os.environ | {"WARPBRIDGE_PTX": str(programs)}
    failed = []
    for target in sys.argv[2:] or TARGETS:
        command = ["cargo", "+nightly", "fuzz", "run", target, str(seed(target, programs)), "--"]
        end = subprocess.run(
            [*command, f"-max_total_time={seconds}", *LIMITS, *TARGETS[target]], cwd=FUZZ, env=environment, check=False
        )
        failed += [target] if end.returncode else []
    sys.stdout.write(f"found something: {', '.join(failed) or 'nothing'}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
