"""How the CPU device's settings reach a launch: per block of code, per thread, from the environment."""

from __future__ import annotations

import threading

import pytest
import warpbridge as wb
from warpbridge import settings
from warpbridge.settings import Settings


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SCHEDULE", "CHECKS", "SEED", "THREADS", "GLOBAL_RACES", "MULTIPROCESSORS"):
        monkeypatch.delenv(f"WARPBRIDGE_{name}", raising=False)
    monkeypatch.setattr(settings, "_default", None)


def test_default_is_eager_with_memory_checks() -> None:
    assert settings.current() == Settings(schedule=0, checks=1, seed=0, threads=0)


def test_cpu_sets_and_restores_nested() -> None:
    with wb.cpu(schedule="seeded", seed=7, checks="all", threads=2):
        assert settings.current() == Settings(schedule=2, checks=2, seed=7, threads=2)
        with wb.cpu(schedule="latest"):
            assert settings.current() == Settings(schedule=1, checks=1)
        assert settings.current().seed == 7
    assert settings.current() == Settings()


def test_global_races_ask_for_all_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    with wb.cpu(global_races=True):
        assert settings.current() == Settings(checks=3)
    with wb.cpu(checks="all", global_races=True):
        assert settings.current() == Settings(checks=3)
    monkeypatch.setenv("WARPBRIDGE_GLOBAL_RACES", "1")
    assert settings.current() == Settings(checks=3)


def test_cpu_is_of_one_thread() -> None:
    seen: list[Settings] = []
    with wb.cpu(schedule="latest"):
        thread = threading.Thread(target=lambda: seen.append(settings.current()))
        thread.start()
        thread.join()
    assert seen == [Settings()]


def test_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SCHEDULE": "seeded", "CHECKS": "none", "SEED": "0x10", "THREADS": "3"}.items():
        monkeypatch.setenv(f"WARPBRIDGE_{name}", value)
    assert settings.current() == Settings(schedule=2, checks=0, seed=16, threads=3)


@pytest.mark.parametrize(
    ("keywords", "text"),
    [
        ({"schedule": "lazy"}, "cpu: schedule is 'lazy', expected 'eager', 'latest' or 'seeded'"),
        ({"checks": "some"}, "cpu: checks is 'some', expected 'none', 'memory' or 'all'"),
        ({"seed": -1}, "cpu: seed is -1, expected 0 to 2**64 - 1"),
        ({"seed": 1.5}, "cpu: seed is 1.5, expected 0 to 2**64 - 1"),
        ({"seed": "1"}, "cpu: seed is '1', expected 0 to 2**64 - 1"),
        ({"threads": "2"}, "cpu: threads is '2', expected 1 to 1024, or 0 for one per core"),
        ({"threads": True}, "cpu: threads is True, expected 1 to 1024, or 0 for one per core"),
        ({"threads": 5000}, "cpu: threads is 5000, expected 1 to 1024, or 0 for one per core"),
        ({"global_races": 1}, "cpu: global_races is 1, expected True or False"),
        (
            {"global_races": True, "checks": "memory"},
            "cpu: global_races needs 'all' of checks, found 'memory'; leave that one out",
        ),
    ],
)
def test_cpu_refuses(keywords: dict, text: str) -> None:
    with pytest.raises(wb.ArgumentError) as caught, wb.cpu(**keywords):
        pass
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("SCHEDULE", "lazy", "WARPBRIDGE_SCHEDULE is 'lazy', expected 'eager', 'latest' or 'seeded'"),
        ("SEED", "many", "WARPBRIDGE_SEED is 'many', expected a whole number"),
        ("GLOBAL_RACES", "yes", "WARPBRIDGE_GLOBAL_RACES is 'yes', expected 0 or 1"),
        ("MULTIPROCESSORS", "0", "WARPBRIDGE_MULTIPROCESSORS is '0', expected 1 to 1024"),
        ("MULTIPROCESSORS", "many", "WARPBRIDGE_MULTIPROCESSORS is 'many', expected 1 to 1024"),
    ],
)
def test_environment_refuses(monkeypatch: pytest.MonkeyPatch, name: str, value: str, text: str) -> None:
    monkeypatch.setenv(f"WARPBRIDGE_{name}", value)
    with pytest.raises(wb.ArgumentError) as caught:
        settings.current()
    assert str(caught.value) == text
