"""Benchmarks: each can be imported and says its options."""

from __future__ import annotations

import pkgutil
import sys

import pytest

import benchmarks
from jobs.commands import bench

NAMES = sorted(found.name for found in pkgutil.iter_modules(benchmarks.__path__) if not found.ispkg)


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_prints_its_help(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", sys.argv)  # the command replaces it
    with pytest.raises(SystemExit) as stopped:
        bench.main([name, "--help"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: evoray bench {name} [-h]")
