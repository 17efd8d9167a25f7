"""What leaves the store, and what never does."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from hub.clock import FakeClock
from hub.orders import order_everything
from hub.server import Fault, Hub
from inferry_runtime.model.errors import ModelError
from inferry_runtime.model.eviction import CachedModel, Eviction, disk_bytes, to_evict
from inferry_runtime.model.listing import Access
from inferry_runtime.model.store import Store
from inferry_runtime.order import ModelOrder

DAY = 24 * 3600.0


def cached(source: str, last_used: float, *, in_use: bool = False, **blobs: int) -> CachedModel:
    return CachedModel(
        source=source,
        revision="r",
        path=Path(source),
        size_bytes=sum(blobs.values()),
        blobs=blobs,
        complete=True,
        last_used=last_used,
        in_use=in_use,
        lock_name=source,
    )


OLD = cached("old", 1.0, a=10, shared=100)
MIDDLE = cached("middle", 2.0, b=20, shared=100)
NEW = cached("new", 3.0, c=30)

DECISIONS = {
    "no limit takes nothing": ((OLD, MIDDLE, NEW), Eviction(), ()),
    "too old goes": ((OLD, MIDDLE, NEW), Eviction(max_age_seconds=1.5), ("old",)),
    "too old but in use stays": ((replace(OLD, in_use=True), NEW), Eviction(max_age_seconds=0.5), ()),
    "what fits stays": ((OLD, MIDDLE, NEW), Eviction(max_bytes=160), ()),
    "the least recently used goes first": ((NEW, MIDDLE, OLD), Eviction(max_bytes=150), ("old",)),
    "shared blobs count once and go with the last": ((OLD, MIDDLE, NEW), Eviction(max_bytes=40), ("old", "middle")),
    "in use stays even if it alone is too much": ((replace(OLD, in_use=True), NEW), Eviction(max_bytes=5), ("new",)),
    "what frees nothing stays": ((cached("local", 0.0), NEW), Eviction(max_bytes=10), ("new",)),
    "nothing allowed empties the store": ((OLD, MIDDLE, NEW), Eviction(max_bytes=0), ("old", "middle", "new")),
}


@pytest.mark.parametrize(("models", "policy", "gone"), DECISIONS.values(), ids=list(DECISIONS))
def test_what_is_evicted(models: tuple[CachedModel, ...], policy: Eviction, gone: tuple[str, ...]) -> None:
    assert tuple(model.source for model in to_evict(models, policy, now=3.0)) == gone


def test_disk_bytes_count_every_blob_once() -> None:
    assert disk_bytes((OLD, MIDDLE, NEW)) == 160


SHARED = os.urandom(50_000)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(now=4_000_000_000.0)


@pytest.fixture
def store(tmp_path: Path, clock: FakeClock) -> Store:
    return Store(tmp_path / "store", clock=clock)


@pytest.fixture
def orders(hub: Hub, store: Store) -> tuple[ModelOrder, ModelOrder]:
    """Two models in the store that share their weights; the first was used last 10 days ago."""
    made = []
    for name in ("org/a", "org/b"):
        hub.add_model(name, {"config.json": name.encode(), "model.gguf": SHARED})
        order = order_everything(f"hf://{name}", Access(mirror=hub.url))
        root = store.ensure(order, Access(), lambda _: None)
        days = 10 if name == "org/a" else 1
        os.utime(root.parent / "manifest.json", (0, 4_000_000_000.0 - days * DAY))
        made.append(order)
    return made[0], made[1]


def blobs(store: Store) -> int:
    return sum(path.stat().st_size for path in store.root.glob("blobs/sha256/*/*"))


def test_the_list_shows_every_model_with_its_size_and_age(store: Store, orders: tuple[ModelOrder, ...]) -> None:
    listed = [(model.source, model.size_bytes, model.complete, model.in_use) for model in store.cached()]
    assert listed == [("hf://org/a", 50_005, True, False), ("hf://org/b", 50_005, True, False)]
    assert blobs(store) == 50_010


def test_evicting_by_age_keeps_blobs_that_others_still_need(store: Store, orders: tuple[ModelOrder, ...]) -> None:
    removal = store.evict(Eviction(max_age_seconds=5 * DAY))
    assert [model.source for model in removal.removed] == ["hf://org/a"]
    assert [model.source for model in store.cached()] == ["hf://org/b"]
    assert blobs(store) == 50_005
    assert removal.freed_bytes > 0


def test_removing_the_last_user_of_a_blob_deletes_it(store: Store, orders: tuple[ModelOrder, ...]) -> None:
    store.remove("hf://org/a")
    removal = store.remove("hf://org/b")
    assert removal.freed_bytes >= 50_000
    assert (store.cached(), blobs(store)) == ((), 0)
    assert [path for path in (store.root / "revisions").rglob("*") if path.is_file()] == []


def test_a_model_that_a_replica_holds_is_neither_removed_nor_evicted(
    hub: Hub, store: Store, orders: tuple[ModelOrder, ...]
) -> None:
    hub.requests.clear()
    with store.hold(orders[0]):
        assert [model.source for model in store.cached() if model.in_use] == ["hf://org/a"]
        assert [model.source for model in store.remove("hf://org/a").kept_in_use] == ["hf://org/a"]
        assert store.evict(Eviction(max_bytes=0)).removed[0].source == "hf://org/b"
        store.ensure(orders[0], Access(), lambda _: None)
    assert hub.requests == []
    assert len(store.remove("hf://org/a").removed) == 1


def test_a_removed_model_comes_back_when_it_is_ordered_again(store: Store, orders: tuple[ModelOrder, ...]) -> None:
    store.remove("hf://org/a")
    store.remove("hf://org/b")
    root = store.ensure(orders[0], Access(), lambda _: None)
    assert (root / "model.gguf").read_bytes() == SHARED


def test_only_the_named_revision_is_removed(hub: Hub, store: Store, orders: tuple[ModelOrder, ...]) -> None:
    hub.add_model("org/a", {"config.json": b"new", "model.gguf": SHARED})
    newer = order_everything("hf://org/a", Access(mirror=hub.url))
    store.ensure(newer, Access(), lambda _: None)
    store.remove("hf://org/a", orders[0].revision)
    assert [model.revision for model in store.cached() if model.source == "hf://org/a"] == [newer.revision]


def test_half_a_download_of_a_model_nobody_wants_any_more_is_swept(hub: Hub, store: Store) -> None:
    hub.add_model("org/big", {"model.gguf": os.urandom(400_000)})
    order = order_everything("hf://org/big", Access(mirror=hub.url))
    hub.fail(Fault(match="/lfs/", times=1, cut_after=100_000))
    hub.fail(Fault(match="/lfs/", status=403))
    with pytest.raises(ModelError):
        store.ensure(order, Access(), lambda _: None)
    assert [model.complete for model in store.cached()] == [False]
    assert len(list((store.root / "partial").iterdir())) == 2
    store.remove("hf://org/big")
    assert list((store.root / "partial").iterdir()) == []


def test_quarantine_is_emptied_after_a_week(hub: Hub, store: Store, clock: FakeClock) -> None:
    hub.add_model("org/bad", {"model.gguf": os.urandom(1000)})
    order = order_everything("hf://org/bad", Access(mirror=hub.url))
    hub.fail(Fault(match="/lfs/", flip_byte=1))
    with pytest.raises(ModelError):
        store.ensure(order, Access(), lambda _: None)
    (kept,) = (store.root / "quarantine").iterdir()
    os.utime(kept, (0, clock.now - 6 * DAY))
    store.remove("hf://org/bad")
    assert kept.exists()
    os.utime(kept, (0, clock.now - 8 * DAY))
    store.remove("hf://org/bad")
    assert not kept.exists()
