"""Getting a Ray cluster: a local one of its own, or, where that is asked for, one that runs
already.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import ray
from ray._private import ray_constants, services
from ray._private.authentication.authentication_token_setup import (
    maybe_enable_token_auth_if_token_available,
)
from ray._private.grpc_utils import init_grpc_channel
from ray.core.generated import gcs_service_pb2, gcs_service_pb2_grpc

from evoray.distributed.cluster.address import joined
from evoray.distributed.cluster.session import own_session, undisturbed
from evoray.distributed.cluster.shipping import ship_own_modules
from evoray.distributed.cluster.submission import has_token

_JOIN_SECONDS = 30.0


@contextmanager
def cluster(address: str = "", *, dashboard: bool = True) -> Iterator[str]:
    """Connects on entry and disconnects on leaving, when a local cluster ends; yields a line for
    the user, "" where there is none.

    Nothing of a local cluster stays behind, but the logs in its session folder where the program
    has failed.

    Args:
        address: HOST:PORT of a cluster to join, "auto" for the one that `ray start` started on this
            machine, "local" for one of its own; "" for the cluster that this program was submitted
            to, or else one of its own.
        dashboard: Serves Ray's dashboard on a local cluster.

    Raises:
        ConnectionError: There is no cluster at `address`.
        PermissionError: The cluster wants another token than this user has, or one at all.
        RuntimeError: No local cluster could be started.
    """
    # Ray Train asks its workers every 2 s by default, which would add 2 s to every report; set
    # before the workers' cluster starts.
    os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.1")
    if ray.is_initialized():
        yield ""
        return
    there = joined(address)
    told = _join(there) if there else _start(dashboard)
    if there:
        ship_own_modules()
    failed = False
    try:
        yield told
    except Exception:
        failed = True
        raise
    finally:
        with undisturbed():
            session = own_session()
            try:
                ray.shutdown(wait_for_processes=True)
            finally:
                session.end(keep_folders=failed)


def check_cluster(address: str) -> None:
    """Looks whether the cluster that `cluster(address)` would join is there; it changes nothing and
    takes 30 s at most.

    Raises:
        ConnectionError: There is no cluster at `address`.
        PermissionError: The cluster wants another token than this user has, or one at all.
    """
    there = "" if ray.is_initialized() else joined(address)
    if there:
        _check_alive(_reachable(there))


def _start(dashboard: bool) -> str:
    _save_token()
    try:
        with _signals_kept(), _on_loopback():
            context = ray.init(
                address="local",
                include_dashboard=dashboard,
                log_to_driver=False,
                logging_level=logging.ERROR,
                _node_ip_address="127.0.0.1",
            )
    except BaseException as error:
        with undisturbed():
            session = own_session()
            with contextlib.suppress(Exception):  # of a start that is half done Ray knows only half
                ray.shutdown()
            session.end(keep_folders=isinstance(error, Exception))
        if not isinstance(error, Exception):
            raise
        logs = "".join(f"; its logs are in {folder}" for folder in session.folders)
        raise RuntimeError(f"no local Ray cluster could be started: {error}{logs}") from error
    return f"Ray dashboard: http://{context.dashboard_url}" if context.dashboard_url else ""


def _join(address: str) -> str:
    there = _reachable(address)
    _check_alive(there)
    try:
        with _signals_kept():
            context = ray.init(address=there, log_to_driver=False, logging_level=logging.ERROR)
    except ConnectionError as error:
        raise ConnectionError(
            f"the Ray cluster at {there} cannot be joined from this machine "
            f"({' '.join(str(error).split())}): make the machine a node of it "
            f"with `ray start --address {there}`, or send the job there with `evoray submit`"
        ) from None
    shown = f"; its dashboard: http://{context.dashboard_url}" if context.dashboard_url else ""
    return (
        f"joined the Ray cluster at {there}{shown} (--cluster.address local starts one of its own)"
    )


def _reachable(address: str) -> str:
    """The address that Ray will use: it never takes loopback for another program's cluster."""
    return str(services.canonicalize_bootstrap_address(address))


def _check_alive(address: str) -> None:
    """Asks the cluster's head; ray.init would wait for a dead one for ever, deaf to Ctrl-C."""
    logging.getLogger("ray").setLevel(logging.ERROR)
    maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
    channel = init_grpc_channel(address)
    try:
        stub: Any = gcs_service_pb2_grpc.NodeInfoGcsServiceStub(
            channel
        )  # Any: generated, without types
        # A plain call would wait in C for its whole time; this waits where Python takes signals.
        stub.CheckAlive.future(gcs_service_pb2.CheckAliveRequest(), timeout=_JOIN_SECONDS).result()
    except grpc.RpcError as error:
        status: Any = error  # Any: an RpcError of a call is a Call too, which its type does not say
        reason = status.details() or status.code().name
        if status.code() == grpc.StatusCode.UNAUTHENTICATED:
            raise PermissionError(
                f"the Ray cluster at {address} refused: {reason}; put its token (on its head: `ray "
                "get-auth-token`) into ~/.ray/auth_token"
            ) from None
        raise ConnectionError(
            f"no Ray cluster answers at {address} ({reason}): start one with `ray start --head`, "
            "name another with "
            "--cluster.address HOST:PORT, or take --cluster.address local for one of its own"
        ) from None
    finally:
        channel.close()


@contextmanager
def _on_loopback() -> Iterator[None]:
    """A local cluster is for this machine: Ray's ports, that of its metrics asks for no token, then
    listen on loopback only.

    Ray does so by itself on systems that it does not build clusters of; elsewhere it replaces
    127.0.0.1 by an address of the network.
    """
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


@contextmanager
def _signals_kept() -> Iterator[None]:
    """ray.init replaces the program's handler of SIGTERM by one that leaves through a stack
    dump.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit as left:
        if left.code == signal.SIGTERM and callable(before):
            before(signal.SIGTERM, None)
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _save_token() -> None:
    """Writes the token that Ray would write, which starts a local cluster with one, but readable by
    its owner only.
    """
    if (
        has_token()
        or os.environ.get("RAY_AUTH_MODE", "token") != "token"
        or os.environ.get("RAY_AUTH_TOKEN_PATH")
    ):
        return
    file = Path.home() / ".ray" / "auth_token"
    with contextlib.suppress(
        OSError
    ):  # Ray complains better where it cannot be written; another program may just have written it
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(
            os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
        ) as out:
            out.write(secrets.token_hex(32))
