"""Choice of the cluster: a program uses its own, unless it is asked to join one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from evoray.distributed.cluster.address import check_address, joined
from evoray.distributed.cluster.connection import check_cluster

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No address in the environment, an empty temporary folder of Ray's; the file that `ray start`
    writes.
    """
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    (tmp_path / "ray").mkdir()
    return tmp_path / "ray" / "ray_current_cluster"


def test_without_an_address_it_is_its_own_whatever_was_started_here(clean: Path) -> None:
    clean.write_text("10.0.0.1:6379", encoding="utf-8")
    assert joined("") == joined("local") == ""
    assert joined("auto") == "10.0.0.1:6379"
    assert joined("10.0.0.2:6379") == "10.0.0.2:6379"


def test_a_submitted_job_joins_its_cluster_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.3:6379")
    assert joined("") == joined("auto") == "10.0.0.3:6379"
    assert joined("local") == ""
    assert joined("10.0.0.2:6379") == "10.0.0.2:6379"
    monkeypatch.setenv("RAY_ADDRESS", "local")
    assert joined("") == ""


def test_nothing_to_join_is_an_error_that_says_where_it_looked(clean: Path) -> None:
    with pytest.raises(ConnectionError, match=f"left no address in {clean}"):
        joined("auto")


@pytest.mark.parametrize(
    "address",
    [
        "http://10.0.0.1:8265",
        "ray://10.0.0.1:10001",
        "10.0.0.1",
        "10.0.0.1:",
        "10.0.0.1:70000",
        "a b:1",
        "Local",
    ],
)
def test_what_cannot_be_joined_is_refused_by_name(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=r"cluster\.address takes HOST:PORT"):
        check_address(address, "cluster.address")
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(
        ValueError, match=r"the environment variable RAY_ADDRESS .* takes HOST:PORT"
    ):
        joined("")
    assert joined("local") == ""


@pytest.mark.parametrize(
    "address", ["", "local", "auto", "10.0.0.1:6379", "head.example.org:6379", "[fd00::1]:6379"]
)
def test_what_can_be_joined_is_taken(address: str) -> None:
    check_address(address, "cluster.address")


def test_joining_what_does_not_answer_is_an_error_at_once(clean: Path) -> None:
    clean.write_text("127.0.0.1:9", encoding="utf-8")
    with pytest.raises(
        ConnectionError, match=r"no Ray cluster answers at .*:9 .*--cluster\.address local"
    ):
        check_cluster("auto")
    check_cluster("")


def test_ctrl_c_works_while_connecting_to_what_never_answers() -> None:
    program = (
        # a background job inherits that it is ignored
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from evoray.distributed.cluster.connection import cluster\n"
        "cluster(sys.argv[1]).__enter__()"
    )
    with socket.create_server(("0.0.0.0", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "platform")]),
        }
        process = subprocess.Popen(
            [sys.executable, "-c", program, address],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        connection, _ = silent.accept()  # it waits for an answer now
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
        connection.close()
    assert "KeyboardInterrupt" in errors
