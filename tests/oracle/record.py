"""Asks a GPU: `PYTHONPATH=tests python -m oracle.record FOLDER` writes FOLDER/answers.npz and FOLDER/record.txt.

Needs an sm_90 GPU, its driver, Python 3.11 or later and NumPy. Batches run in worker processes, several at a time; a
form that faults or hangs costs its own answer only. Copy answers.npz to tests/oracle/, with unanswered.txt (empty when
all went well), and commit them with the tables that they were made from.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .answers import save
from .form import Form
from .forms import FORMS, batches

WORKERS = min(8, os.cpu_count() or 1)
STALL_S = 15.0
"""A worker that records nothing for so long hangs."""
TOTAL_S = 110.0

Records = dict[str, tuple[str, Any]]


def read(path: Path) -> tuple[dict[str, str], Records, str]:
    """Return a worker's metadata, its records, and the form it had begun but not ended."""
    meta: dict[str, str] = {}
    records: Records = {}
    begun = ""
    with path.open("rb") as file:
        while True:
            try:
                kind, *rest = pickle.load(file)
            except (EOFError, pickle.UnpicklingError):
                return meta, records, begun
            if kind == "meta":
                meta = rest[0]
            elif kind == "start":
                begun = rest[0]
            else:
                records[rest[0]] = (kind, rest[1])
                begun = ""


def run_worker(command: list[str], path: Path, deadline: float) -> str:
    """Run a worker until it ends or stalls; return how it ended."""
    with path.with_suffix(".log").open("w+") as log:
        worker = subprocess.Popen(command, stdout=log, stderr=log)
        size, since = 0, time.monotonic()
        while worker.poll() is None:
            time.sleep(0.05)
            now = time.monotonic()
            if path.stat().st_size != size:
                size, since = path.stat().st_size, now
            if now - since > STALL_S or now > deadline:
                worker.kill()
                worker.wait()
                return "timeout"
        log.seek(0)
        return f"worker exited with {worker.returncode}: {log.read()[-300:]}"


def run_batch(number: int, forms: list[Form], folder: Path, deadline: float) -> tuple[dict[str, str], Records, str]:
    """Run one batch to its end, over as many worker processes as its faults make necessary."""
    meta: dict[str, str] = {}
    records: Records = {}
    complaint = ""
    while len(records) < len(forms):
        if time.monotonic() >= deadline:
            break
        path = folder / f"{number}-{len(records)}.pickle"
        path.touch()
        command = [sys.executable, "-m", "oracle.worker", str(number), str(len(records)), str(path)]
        end = run_worker(command, path, deadline)
        found, more, begun = read(path)
        meta = meta or found
        records |= more
        if begun:
            records[begun] = ("timeout" if end == "timeout" else "fault", end)
        elif not more:
            complaint = f"batch {number} ({forms[0].family}): {end}"
            break
    for form in forms:
        records.setdefault(form.name, ("not run", complaint or "out of time"))
    return meta, records, complaint


def driver_version() -> str:
    """Return the kernel driver's version, if nvidia-smi tells."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.split()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        return "unknown"


def report(records: Records, meta: dict[str, Any], complaints: list[str], path: Path) -> str:
    """Return the summary: counts, then every form without an answer."""
    counts = Counter(status for status, _ in records.values())
    lines = [f"{meta}", f"{dict(counts)}, {path.stat().st_size} bytes in {path.name}", *complaints]
    for name, (status, payload) in records.items():
        if status != "ok":
            lines.append(f"{status}: {FORMS[name].family}: {name}: {' '.join(str(payload).split())[:200]}")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Record everything into the folder named on the command line."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    chosen = batches(FORMS)
    records: Records = {}
    complaints = []
    meta: dict[str, Any] = {"driver": driver_version(), "date": time.strftime("%Y-%m-%d", time.gmtime())}
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(WORKERS) as pool:
        jobs = [pool.submit(run_batch, i, b, Path(scratch), start + TOTAL_S) for i, b in enumerate(chosen)]
        for job in jobs:
            found, more, complaint = job.result()
            meta |= found
            records |= more
            complaints += [complaint] if complaint else []
    save(folder / "answers.npz", meta, records, FORMS)
    missing = [name for name in FORMS if name not in records]
    (folder / "unanswered.txt").write_text("".join(f"{name}\n" for name in missing))
    text = report(records, meta, complaints, folder / "answers.npz")
    text += f"{time.monotonic() - start:.1f} s\n"
    (folder / "record.txt").write_text(text)
    sys.stdout.write(text[-6000:])
    return 0 if any(status == "ok" for status, _ in records.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
