"""The store: what is in the folder afterwards, and what was asked of the hub for it."""

import hashlib
import os
import shutil
import threading
from pathlib import Path

import pytest

from hub.clock import FakeClock
from hub.orders import order_everything
from hub.server import Fault, Hub
from inferry_runtime.model.errors import (
    DigestMismatch,
    HubUnreachable,
    MalformedFile,
    ModelError,
    ModelNotFound,
    NoSpace,
    RevisionNotFound,
    UnsafeFormat,
)
from inferry_runtime.model.layout import Layout
from inferry_runtime.model.listing import Access
from inferry_runtime.model.partial import arrived_bytes
from inferry_runtime.model.store import Difference, FetchCancelled, FetchProgress, Store, Tuning
from inferry_runtime.order import IntegrityPolicy, ModelOrder, OrderedFile

FILES = {
    "config.json": b"{}",
    "folder/empty.txt": b"",
    "model.safetensors": os.urandom(3_000_000),
    "tokenizer.json": b"[1, 2]",
}
SMALL = Tuning(connections=3, request_bytes=400_000, settle_bytes=100_000)


class Watch:
    """Everything the store said."""

    def __init__(self) -> None:
        self.seen: list[FetchProgress] = []

    def __call__(self, progress: FetchProgress) -> None:
        self.seen.append(progress)


@pytest.fixture
def clock() -> FakeClock:
    """Progress is told a few times per second: here, every time there is some."""
    return FakeClock(tick=1.0)


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def store(tmp_path: Path, clock: FakeClock) -> Store:
    return Store(tmp_path / "store", tuning=SMALL, clock=clock)


@pytest.fixture
def order(hub: Hub) -> ModelOrder:
    hub.add_model("org/name", FILES)
    order = order_everything("hf://org/name", Access(mirror=hub.url))
    hub.requests.clear()
    return order


def ensure(store: Store, order: ModelOrder, cancelled: threading.Event | None = None) -> Path:
    return store.ensure(order, Access(), Watch(), cancelled)


def content(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def blobs(store: Store, tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "store" / "blobs").rglob("*/*/*"))


def blob_of(root: Path, name: str) -> Path:
    return (root / name).resolve()


def test_a_model_arrives_whole_and_each_byte_is_sent_once(hub: Hub, store: Store, order: ModelOrder) -> None:
    watch = Watch()
    root = store.ensure(order, Access(), watch)
    assert content(root) == FILES
    assert hub.sent_bytes() == sum(len(data) for data in FILES.values())
    assert hub.asked("/api/") == []
    assert (watch.seen[-1].done_bytes, watch.seen[-1].total_bytes) == (hub.sent_bytes(), hub.sent_bytes())
    assert [progress.done_bytes for progress in watch.seen] == sorted(progress.done_bytes for progress in watch.seen)


def test_what_is_in_the_store_is_opened_without_the_hub(hub: Hub, store: Store, order: ModelOrder) -> None:
    root = ensure(store, order)
    hub.requests.clear()
    hub.fail(Fault(match="", status=500))
    assert ensure(store, order) == root
    assert hub.requests == []


def test_two_models_that_share_a_file_keep_it_once(hub: Hub, store: Store, order: ModelOrder, tmp_path: Path) -> None:
    first = ensure(store, order)
    hub.add_model("org/other", {**FILES, "config.json": b'{"other": 1}'})
    hub.requests.clear()
    second = ensure(store, order_everything("hf://org/other", Access(mirror=hub.url)))
    assert blob_of(first, "model.safetensors") == blob_of(second, "model.safetensors")
    assert hub.asked("/lfs/") == []
    assert content(second)["config.json"] == b'{"other": 1}'


def test_two_choices_of_files_of_one_revision_do_not_mix(store: Store, order: ModelOrder) -> None:
    some = ModelOrder(
        source=order.source, revision=order.revision, files=order.files[:1], primary="", mirror=order.mirror
    )
    ensure(store, order)
    assert list(content(ensure(store, some))) == [order.files[0].path]


@pytest.mark.parametrize("source", ["modelscope", "http"])
def test_other_sources_come_in_the_same_way(hub: Hub, store: Store, source: str) -> None:
    if source == "modelscope":
        hub.add_model("org/name", FILES)
        order = order_everything("modelscope://org/name", Access(mirror=hub.url))
        assert content(ensure(store, order)) == FILES
    else:
        weights = FILES["model.safetensors"]
        assert content(ensure(store, order_everything(hub.add_file("m.gguf", weights)))) == {"m.gguf": weights}


def test_a_server_without_ranges_is_read_in_one_go_and_from_the_start_after_a_cut(hub: Hub, store: Store) -> None:
    weights = FILES["model.safetensors"]
    url = hub.add_file("m.gguf", weights)
    hub.fail(Fault(match="m.gguf", times=2, ignore_range=True))
    order = order_everything(url)
    hub.fail(Fault(match="m.gguf", times=1, ignore_range=True, cut_after=2_000_000))
    hub.fail(Fault(match="m.gguf", ignore_range=True))
    assert content(ensure(store, order)) == {"m.gguf": weights}


def test_trouble_during_a_download_loses_nothing(hub: Hub, store: Store, order: ModelOrder, clock: FakeClock) -> None:
    hub.fail(Fault(match="/lfs/", times=3, cut_after=150_000))
    hub.fail(Fault(match="/lfs/", times=2, status=503))
    assert content(ensure(store, order)) == FILES
    assert hub.sent_bytes("/lfs/") == len(FILES["model.safetensors"])
    assert clock.waits


def test_links_that_expire_during_a_download_are_asked_for_again(hub: Hub, store: Store, order: ModelOrder) -> None:
    expired: list[bool] = []

    def expire_soon(progress: FetchProgress) -> None:
        if progress.done_bytes > 1_000_000 and not expired:
            expired.append(True)
            hub.expire_links()

    assert content(store.ensure(order, Access(), expire_soon)) == FILES
    assert 403 in {request.status for request in hub.requests}


def test_a_download_that_failed_goes_on_where_it_was(hub: Hub, store: Store, order: ModelOrder) -> None:
    hub.fail(Fault(match="/lfs/", times=3))
    hub.fail(Fault(match="/lfs/", status=403))
    with pytest.raises(ModelError):
        ensure(store, order)
    arrived = sum(
        arrived_bytes(Layout(store.root), path.stem) for path in (store.root / "partial").glob("sha256-*.data")
    )
    assert arrived > 0
    hub.faults.clear()
    hub.requests.clear()
    assert content(ensure(store, order)) == FILES
    assert hub.sent_bytes("/lfs/") == len(FILES["model.safetensors"]) - arrived


def test_cancelling_keeps_what_has_arrived(hub: Hub, store: Store, order: ModelOrder) -> None:
    cancelled = threading.Event()

    def stop_half_way(progress: FetchProgress) -> None:
        if progress.done_bytes > 500_000:
            cancelled.set()

    with pytest.raises(FetchCancelled):
        store.ensure(order, Access(), stop_half_way, cancelled)
    assert not [model for model in store.cached() if model.complete]
    assert content(ensure(store, order)) == FILES
    # What was on the way in each connection when it stopped comes again, nothing else.
    assert hub.sent_bytes() <= sum(map(len, FILES.values())) + SMALL.connections * SMALL.request_bytes


def test_bytes_that_are_not_what_the_hub_promised_go_to_quarantine_and_are_never_served(
    hub: Hub, store: Store, order: ModelOrder, tmp_path: Path
) -> None:
    hub.fail(Fault(match="/lfs/", flip_byte=1_234_567))
    with pytest.raises(DigestMismatch, match=r"model\.safetensors") as error:
        ensure(store, order)
    assert error.value.retryable
    assert order.files[2].sha256 not in {blob.name for blob in blobs(store, tmp_path)}
    assert len(list((tmp_path / "store" / "quarantine").iterdir())) == 1
    hub.faults.clear()
    assert content(ensure(store, order)) == FILES


def test_every_single_bit_flipped_in_a_blob_is_caught_and_healed(hub: Hub, store: Store, tmp_path: Path) -> None:
    hub.add_model("org/tiny", {"model.gguf": b"GG"})
    order = order_everything("hf://org/tiny", Access(mirror=hub.url))
    root = ensure(store, order)
    for bit in range(len(b"GG") * 8):
        blob = blob_of(root, "model.gguf")
        times = blob.stat()
        damaged = bytearray(blob.read_bytes())
        damaged[bit // 8] ^= 1 << bit % 8
        blob.chmod(0o644)
        blob.write_bytes(bytes(damaged))
        os.utime(blob, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert content(ensure(store, order)) == {"model.gguf": b"GG"}


def test_a_blob_that_was_cut_short_or_lost_is_fetched_again(store: Store, order: ModelOrder) -> None:
    root = ensure(store, order)
    blob_of(root, "model.safetensors").chmod(0o644)
    os.truncate(blob_of(root, "model.safetensors"), 10)
    blob_of(root, "tokenizer.json").unlink()
    assert content(ensure(store, order)) == FILES


def test_decay_that_leaves_no_trace_is_found_by_a_scrub(store: Store, order: ModelOrder, tmp_path: Path) -> None:
    root = ensure(store, order)
    digest = blob_of(root, "model.safetensors").name
    assert store.scrub(lambda _: None) == ()
    blob_of(root, "model.safetensors").chmod(0o644)
    with open(blob_of(root, "model.safetensors"), "r+b") as file:
        file.write(b"decay")
    assert store.scrub(lambda _: None) == (digest,)
    assert content(ensure(store, order)) == FILES


def test_a_file_without_a_digest_has_to_stay_what_it_was_when_first_seen(
    hub: Hub, store: Store, order: ModelOrder
) -> None:
    root = ensure(store, order)
    assert [file.sha256 for file in order.files if file.path == "config.json"] == [None]
    blob_of(root, "config.json").unlink()
    hub.fail(Fault(match="config.json", body=b"[]", headers=(("X", "y"),)))
    with pytest.raises(DigestMismatch, match=r"config\.json"):
        ensure(store, order)


def test_a_broken_manifest_and_broken_memory_are_made_anew(store: Store, order: ModelOrder, tmp_path: Path) -> None:
    root = ensure(store, order)
    (root.parent / "manifest.json").write_bytes(b"{half")
    for record in (tmp_path / "store" / "fingerprints").rglob("*.json"):
        record.write_bytes(b"")
    assert content(ensure(store, order)) == FILES
    assert [model.complete for model in store.cached()] == [True]


def test_the_store_may_be_moved(store: Store, order: ModelOrder, hub: Hub, tmp_path: Path) -> None:
    ensure(store, order)
    shutil.move(tmp_path / "store", tmp_path / "elsewhere")
    hub.requests.clear()
    assert content(ensure(Store(tmp_path / "elsewhere"), order)) == FILES
    assert hub.requests == []


def test_without_verification_nothing_is_hashed_and_a_verifying_order_hashes_it_later(
    hub: Hub, store: Store, order: ModelOrder
) -> None:
    hub.fail(Fault(match="/lfs/", flip_byte=7))
    trusting = order_everything("hf://org/name", Access(mirror=hub.url), integrity=IntegrityPolicy.OFF)
    assert content(ensure(store, trusting))["model.safetensors"] != FILES["model.safetensors"]
    hub.faults.clear()
    assert content(ensure(store, order)) == FILES


@pytest.fixture
def noting(hub: Hub, order: ModelOrder) -> ModelOrder:
    """The same model for people who want to be told, not refused."""
    return order_everything("hf://org/name", Access(mirror=hub.url), integrity=IntegrityPolicy.RECORD)


def test_noted_differences_are_served_told_and_not_fetched_again(hub: Hub, store: Store, noting: ModelOrder) -> None:
    hub.fail(Fault(match="/lfs/", flip_byte=7))
    served = content(ensure(store, noting))["model.safetensors"]
    assert served != FILES["model.safetensors"]
    told = Difference(path="model.safetensors", expected=sha(FILES["model.safetensors"]), found=sha(served))
    assert store.differences(noting) == (told,)
    hub.requests.clear()
    assert content(ensure(store, noting))["model.safetensors"] == served
    assert (hub.requests, store.differences(noting)) == ([], (told,))


def test_nothing_is_noted_of_bytes_that_are_right(store: Store, noting: ModelOrder) -> None:
    assert content(ensure(store, noting)) == FILES
    assert store.differences(noting) == ()


def test_what_was_noted_is_refused_as_soon_as_somebody_wants_it_verified(
    hub: Hub, store: Store, noting: ModelOrder, order: ModelOrder
) -> None:
    hub.fail(Fault(match="/lfs/", flip_byte=7))
    ensure(store, noting)
    with pytest.raises(DigestMismatch):
        ensure(store, order)
    hub.faults.clear()
    assert content(ensure(store, order)) == FILES
    assert content(ensure(store, noting)) == FILES
    assert store.differences(noting) == ()


def test_a_blob_that_changed_in_the_store_is_served_under_its_own_digest_where_differences_are_noted(
    hub: Hub, store: Store, noting: ModelOrder
) -> None:
    blob = blob_of(ensure(store, noting), "model.safetensors")
    blob.chmod(0o644)
    changed = b"!" + blob.read_bytes()[1:]
    blob.write_bytes(changed)
    hub.requests.clear()
    assert blob_of(ensure(store, noting), "model.safetensors").name == sha(changed)
    assert [one.found for one in store.differences(noting)] == [sha(changed)]
    assert hub.requests == []


def test_a_file_whose_source_tells_no_digest_is_noted_when_it_is_not_what_it_was(
    hub: Hub, store: Store, noting: ModelOrder
) -> None:
    blob_of(ensure(store, noting), "config.json").unlink()
    hub.fail(Fault(match="config.json", body=b"[]", headers=(("X", "y"),)))
    ensure(store, noting)
    (noted,) = store.differences(noting)
    assert (noted.path, noted.expected, noted.found) == ("config.json", sha(FILES["config.json"]), sha(b"[]"))


def test_what_is_served_instead_is_not_swept(hub: Hub, store: Store, noting: ModelOrder) -> None:
    hub.fail(Fault(match="/lfs/", flip_byte=7))
    before = content(ensure(store, noting))
    store.remove("hf://nothing/there")
    assert content(ensure(store, noting)) == before


REFUSED = {
    "a path that leaves the folder": OrderedFile(path="../../evil", size_bytes=1),
    "an absolute path": OrderedFile(path="/etc/passwd", size_bytes=1),
    "a path with a dot part": OrderedFile(path="a/./b", size_bytes=1),
    "a path for another system": OrderedFile(path="..\\evil", size_bytes=1),
    "an empty path": OrderedFile(path="", size_bytes=1),
    "a path with a line break": OrderedFile(path="a\nb", size_bytes=1),
    "a name too long for a file": OrderedFile(path="x" * 256, size_bytes=1),
    "a digest that is a path": OrderedFile(path="a", size_bytes=1, sha256="../../../../etc/passwd".ljust(64, "/")),
    "a negative size": OrderedFile(path="a", size_bytes=-1),
}


@pytest.mark.parametrize("file", REFUSED.values(), ids=list(REFUSED))
def test_a_hostile_listing_touches_nothing(store: Store, tmp_path: Path, file: OrderedFile) -> None:
    order = ModelOrder(source="hf://org/name", revision="0" * 40, files=(file,), primary="")
    with pytest.raises(MalformedFile):
        ensure(store, order)
    assert not (tmp_path / "store").exists()


def test_a_listing_that_names_a_file_as_a_folder_too_is_refused(store: Store) -> None:
    files = (OrderedFile(path="a", size_bytes=1), OrderedFile(path="a/b", size_bytes=1))
    with pytest.raises(MalformedFile, match="both as a file and as a folder"):
        ensure(store, ModelOrder(source="hf://org/name", revision="0" * 40, files=files, primary=""))


def test_pickles_are_refused_unless_allowed(hub: Hub, store: Store) -> None:
    hub.add_model("org/old", {"pytorch_model.bin": b"pickle"})
    with pytest.raises(UnsafeFormat) as refused:
        ensure(store, order_everything("hf://org/old", Access(mirror=hub.url)))
    assert "allowUnsafeFormats" in refused.value.hint
    allowed = order_everything("hf://org/old", Access(mirror=hub.url), allow_unsafe_formats=True)
    assert content(ensure(store, allowed)) == {"pytorch_model.bin": b"pickle"}


def test_a_model_larger_than_the_disk_is_refused_before_a_byte_is_fetched(hub: Hub, store: Store) -> None:
    files = (OrderedFile(path="model.gguf", size_bytes=1 << 60, sha256="0" * 64),)
    order = ModelOrder(source="hf://org/name", revision="0" * 40, files=files, primary="", mirror=hub.url)
    with pytest.raises(NoSpace, match=f"{1 << 60} bytes are needed"):
        ensure(store, order)
    assert hub.requests == []


def test_a_web_file_that_changed_since_it_was_inspected_is_not_fetched(hub: Hub, store: Store) -> None:
    order = order_everything(hub.add_file("m.gguf", b"before"))
    hub.add_file("m.gguf", b"after!")
    with pytest.raises(RevisionNotFound, match="no longer what was inspected"):
        ensure(store, order)


def test_a_hub_that_stays_down_leaves_a_store_that_can_go_on(hub: Hub, store: Store, order: ModelOrder) -> None:
    hub.fail(Fault(match="", status=500))
    with pytest.raises(HubUnreachable):
        ensure(store, order)
    hub.faults.clear()
    assert content(ensure(store, order)) == FILES


def test_a_store_that_cannot_be_written_says_so(order: ModelOrder, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModelError, match="cannot be used"):
        ensure(Store(tmp_path / "file"), order)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = tmp_path / "model"
    (model / "sub").mkdir(parents=True)
    (model / "config.json").write_bytes(b"{}")
    (model / "sub" / "m.gguf").write_bytes(b"weights")
    return model


def test_a_local_model_is_used_where_it_lies(store: Store, folder: Path, tmp_path: Path) -> None:
    order = order_everything(str(folder))
    root = ensure(store, order)
    assert content(root) == {"config.json": b"{}", "sub/m.gguf": b"weights"}
    assert blob_of(root, "sub/m.gguf") == folder / "sub" / "m.gguf"
    assert blobs(store, tmp_path) == []
    assert [(model.size_bytes, dict(model.blobs)) for model in store.cached()] == [(9, {})]


def test_a_local_file_is_hashed_once_for_as_long_as_it_is_not_touched(store: Store, folder: Path) -> None:
    order = order_everything(str(folder / "sub" / "m.gguf"))
    first, second, third = Watch(), Watch(), Watch()
    store.ensure(order, Access(), first)
    store.ensure(order, Access(), second)
    os.utime(folder / "sub" / "m.gguf")
    store.ensure(order, Access(), third)
    assert [any(seen.verifying for seen in watch.seen) for watch in (first, second, third)] == [True, False, True]


def test_a_local_file_that_changed_since_it_was_inspected_is_refused(store: Store, folder: Path) -> None:
    order = order_everything(str(folder))
    ensure(store, order)
    (folder / "sub" / "m.gguf").write_bytes(b"WEIGHTS")
    with pytest.raises(DigestMismatch, match=r"m\.gguf"):
        ensure(store, order)
    (folder / "sub" / "m.gguf").write_bytes(b"longer weights")
    with pytest.raises(DigestMismatch, match="14 bytes, not 7"):
        ensure(store, order)
    (folder / "sub" / "m.gguf").unlink()
    with pytest.raises(ModelNotFound, match="no longer has"):
        ensure(store, order)


def test_a_local_file_that_changed_is_served_and_noted_where_differences_are(store: Store, folder: Path) -> None:
    order = order_everything(str(folder), integrity=IntegrityPolicy.RECORD)
    ensure(store, order)
    assert store.differences(order) == ()
    (folder / "sub" / "m.gguf").write_bytes(b"WEIGHTS")
    assert content(ensure(store, order))["sub/m.gguf"] == b"WEIGHTS"
    assert [(one.path, one.found) for one in store.differences(order)] == [("sub/m.gguf", sha(b"WEIGHTS"))]


def test_a_local_file_is_neither_read_nor_noted_where_nobody_looks(store: Store, folder: Path) -> None:
    order = order_everything(str(folder), integrity=IntegrityPolicy.OFF)
    watch = Watch()
    store.ensure(order, Access(), watch)
    (folder / "sub" / "m.gguf").write_bytes(b"WEIGHTS")
    store.ensure(order, Access(), watch)
    assert not any(seen.verifying for seen in watch.seen)
    assert store.differences(order) == ()
    assert not (store.root / "first-seen").exists()
