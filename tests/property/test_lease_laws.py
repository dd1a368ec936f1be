"""Two writers and more on an object store: in whatever order their requests arrive, and however
long each takes, one becomes the writer.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evoray.files.lease import BEATS_AWAITED, Lease

BEAT = 1.0
PATIENCE_SECONDS = 30.0  # real ones, after which a simulation counts as stuck


class World:
    """Threads that run one at a time, in the order of a simulated clock; the seed decides between
    those that wake together, and how long a request takes.
    """

    def __init__(self, seed: int) -> None:
        self.now = 0.0
        self.rng = random.Random(seed)
        self._asleep: dict[threading.Thread, tuple[float, threading.Event]] = {}
        self._turn_ended = threading.Event()

    def run(self, *programs: Callable[[], None]) -> None:
        def begun(program: Callable[[], None]) -> None:
            self.sleep(0.0)
            program()
            self._turn_ended.set()

        threads = [threading.Thread(target=begun, args=(p,), daemon=True) for p in programs]
        for thread in threads:
            self._turn_ended.clear()
            thread.start()
            assert self._turn_ended.wait(PATIENCE_SECONDS)
        while self._asleep:
            soonest = min(until for until, _ in self._asleep.values())
            ready = [thread for thread, (until, _) in self._asleep.items() if until == soonest]
            thread = ready[self.rng.randrange(len(ready))]
            self.now = soonest
            self._turn_ended.clear()
            self._asleep.pop(thread)[1].set()
            assert self._turn_ended.wait(PATIENCE_SECONDS)

    def sleep(self, seconds: float) -> None:
        """Waits until the clock has moved on; others run."""
        woken = threading.Event()
        self._asleep[threading.current_thread()] = (self.now + seconds, woken)
        self._turn_ended.set()
        assert woken.wait(PATIENCE_SECONDS)

    def request(self, slowest_tenths: int) -> None:
        """The way of a request to the store or back: mostly quick, now and then slow."""
        slow = self.rng.random() < 0.2
        self.sleep(self.rng.randint(0, slowest_tenths if slow else 1) * BEAT / 10)


@dataclass
class Store:
    """A stand-in for an object store: every request takes effect at one moment between its start
    and its end.
    """

    world: World
    creates_exclusively: bool
    slowest_tenths: int
    objects: dict[str, bytes] = field(default_factory=dict)

    def _there_and_back(self, effect: Callable[[], Any]) -> Any:
        self.world.request(self.slowest_tenths)
        result = effect()
        self.world.request(self.slowest_tenths)
        return result

    def names(self, prefix: str) -> list[str]:
        return self._there_and_back(lambda: sorted(n for n in self.objects if n.startswith(prefix)))

    def read(self, name: str) -> pa.Buffer:
        content = self._there_and_back(lambda: self.objects.get(name))
        if content is None:
            raise FileNotFoundError(name)
        return pa.py_buffer(content)

    def put(self, name: str, data: pa.Buffer) -> None:
        self._there_and_back(lambda: self.objects.__setitem__(name, bytes(data)))

    def create(self, name: str, data: pa.Buffer) -> None:
        before = self._there_and_back(lambda: self.objects.setdefault(name, bytes(data)))
        if before != bytes(data):
            raise FileExistsError(name)

    def delete(self, name: str) -> None:
        self._there_and_back(lambda: self.objects.pop(name, None))


@dataclass
class Writer:
    """Tries to become the writer at a time, shows signs of life for so many beats, then dies or
    gives up.
    """

    world: World
    store: Store
    starts: float
    beats: int
    releases: bool
    took_at: float | None = None
    lost_at: float | None = None
    ended_at: float | None = None

    def __call__(self) -> None:
        self.world.sleep(self.starts)
        self.lease = Lease(self.store, BEAT, self.world.sleep)
        if not self.lease.take():
            return
        self.took_at = self.world.now
        for _ in range(self.beats):
            self.world.sleep(BEAT)
            self.lease.beat()
            if self.lease.is_lost:
                self.lost_at = self.world.now
                return
        if self.releases:
            self.lease.release()
        self.ended_at = self.world.now


def writers(world: World, store: Store, beats: int) -> list[Writer]:
    rng = world.rng
    return [
        Writer(world, store, rng.randint(0, 20) * BEAT / 10, beats, releases=False)
        for _ in range(rng.randint(2, 4))
    ]


seeds = given(seed=st.integers(0, 2**32))


@pytest.mark.parametrize("left", [{}, {".lease": b"old"}, {".lease-00000007": b"dead"}])
@seeds
@settings(max_examples=60, deadline=None)
def test_where_a_store_creates_exclusively_one_of_several_writes_and_stays_the_one(
    left: dict[str, bytes], seed: int
) -> None:
    """A request takes up to a third of a beat each way, so that signs of life arrive in time."""
    world = World(seed)
    store = Store(world, True, 3, dict(left))
    all_of_them = writers(world, store, beats=15)
    world.run(*all_of_them)
    took = [writer for writer in all_of_them if writer.took_at is not None]
    assert len(took) == 1
    assert took[0].lost_at is None
    (name,) = [n for n in store.objects if n.startswith(".lease-")]
    assert store.objects[name].decode().count(took[0].lease._owner) == 1


@seeds
@settings(max_examples=60, deadline=None)
def test_however_slow_requests_are_no_two_hold_the_same_lease(seed: int) -> None:
    """Writers may then seem dead and be followed; the one before finds out."""
    world = World(seed)
    store = Store(world, True, 120)
    all_of_them = writers(world, store, beats=10)
    world.run(*all_of_them)
    names = [writer.lease._name for writer in all_of_them if writer.took_at is not None]
    assert names
    assert len(set(names)) == len(names)


@seeds
@settings(max_examples=60, deadline=None)
def test_elsewhere_the_last_one_has_it_and_the_others_find_out_with_their_next_sign_of_life(
    seed: int,
) -> None:
    world = World(seed)
    store = Store(world, False, 40)
    all_of_them = writers(world, store, beats=60)
    world.run(*all_of_them)
    took = [writer for writer in all_of_them if writer.took_at is not None]
    kept = [writer for writer in took if writer.lost_at is None]
    assert len(kept) == 1
    last = max(writer.took_at or 0.0 for writer in took)
    # a sign of life that is under way (three requests), a beat, and two requests to find out
    latest = last + (6 * 4 + 1 + 4 * 4) * BEAT
    assert all(w.lost_at is None or w.lost_at <= latest for w in took)


@pytest.mark.parametrize("exclusive", [True, False])
@seeds
@settings(max_examples=30, deadline=None)
def test_a_released_lease_is_followed_at_once_and_a_dead_ones_after_some_beats(
    exclusive: bool, seed: int
) -> None:
    world = World(seed)
    store = Store(world, exclusive, 0)
    first = Writer(world, store, 0.0, 3, releases=world.rng.random() < 0.5)
    second = Writer(world, store, 10.0 * BEAT, 2, releases=True)
    world.run(first, second)
    assert first.took_at is not None
    assert second.took_at is not None
    assert second.lost_at is None
    waited = second.took_at - second.starts
    assert waited <= 2.0 * BEAT if first.releases else waited >= BEATS_AWAITED * BEAT
