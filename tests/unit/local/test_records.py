"""What is kept of a replica, and what of it can be trusted after a crash."""

from pathlib import Path

import pytest

from inferry.local import records
from inferry.local.home import ReplicaFolder
from inferry.local.processes import ProcessIdentity
from inferry.local.records import RecordError, ReplicaRecord, Run
from inferry.local.replicas import least_used, replica_name
from inferry.local.view import replica
from inferry.plan.types import Failure, Phase, Progress
from inferry_runtime.order import EngineOrder, ModelOrder, OrderedFile, Probe, ServeOrder, revision_of
from inferry_runtime.report import ServeReport, Stage

ORDER = ServeOrder(
    deployment="default/qwen",
    served_names=("qwen",),
    model=ModelOrder(
        source="file:///m", revision="r", files=(OrderedFile(path="m.gguf", size_bytes=1),), primary="m.gguf"
    ),
    engine=EngineOrder(name="llamacpp", version="1", variant="cpu", arguments={}),
    probe=Probe(task="chat", prompt="Hello", timeout_seconds=1.0),
    drain_seconds=1.0,
)
RUN = Run(process=ProcessIdentity(pid=1, started="b:1"), port=20001, status_port=20002, started_at=5.0)
FAILURE = Failure(reason="EngineCrashed", message="It died.", hint="", restarts=1, retry_at=9.0)


def record(**changes: object) -> ReplicaRecord:
    base = {"name": "qwen-1", "deployment": "qwen", "revision": "abc", "order": revision_of(ORDER), "created_at": 1.0}
    return ReplicaRecord(**{**base, **changes})  # type: ignore[arg-type]  # a table of fields


@pytest.fixture
def folder(tmp_path: Path) -> ReplicaFolder:
    folder = ReplicaFolder(tmp_path / "qwen-1")
    records.write_order(folder, ORDER)
    records.write(folder, record(run=RUN, failure=FAILURE, devices=(1,), draining_since=2.0))
    return folder


def test_a_record_is_read_as_it_was_written(folder: ReplicaFolder) -> None:
    assert records.read(folder) == (record(run=RUN, failure=FAILURE, devices=(1,), draining_since=2.0), ORDER)


def test_a_half_written_record_is_refused(folder: ReplicaFolder) -> None:
    folder.record.write_bytes(folder.record.read_bytes()[:30])
    with pytest.raises(RecordError):
        records.read(folder)


def test_a_missing_order_is_refused(folder: ReplicaFolder) -> None:
    folder.order.unlink()
    with pytest.raises(RecordError):
        records.read(folder)


def test_an_order_that_is_not_the_recorded_one_is_refused(folder: ReplicaFolder) -> None:
    records.write(folder, record(order="0000000000"))
    with pytest.raises(RecordError, match="0000000000"):
        records.read(folder)


def test_a_folder_that_was_renamed_is_refused(folder: ReplicaFolder) -> None:
    moved = ReplicaFolder(folder.root.rename(folder.root.with_name("other")))
    with pytest.raises(RecordError):
        records.read(moved)


def test_nothing_is_left_of_a_removed_replica(folder: ReplicaFolder) -> None:
    records.remove(folder)
    assert not folder.root.exists()
    records.remove(folder)


@pytest.mark.parametrize(
    ("fields", "report", "phase", "ready"),
    [
        pytest.param({}, None, Phase.PENDING, False, id="nothing runs yet"),
        pytest.param({"run": RUN}, None, Phase.LOADING, False, id="started and silent"),
        pytest.param({"run": RUN}, ServeReport(stage=Stage.FETCHING), Phase.DOWNLOADING, False, id="fetching"),
        pytest.param({"run": RUN}, ServeReport(stage=Stage.VERIFYING), Phase.DOWNLOADING, False, id="verifying"),
        pytest.param({"run": RUN}, ServeReport(stage=Stage.LOADING), Phase.LOADING, False, id="loading"),
        pytest.param({"run": RUN}, ServeReport(stage=Stage.PROBING), Phase.LOADING, False, id="asked, not answered"),
        pytest.param({"run": RUN}, ServeReport(stage=Stage.READY, ready=True), Phase.READY, True, id="answering"),
        pytest.param({"run": RUN}, ServeReport(stage=Stage.READY), Phase.LOADING, False, id="not answering any more"),
        pytest.param({"run": RUN}, ServeReport(stage=Stage.ENDED), Phase.PENDING, False, id="ended by itself"),
        pytest.param({"failure": FAILURE}, None, Phase.BACKING_OFF, False, id="failed"),
    ],
)
def test_what_the_plan_sees_of_a_replica(
    fields: dict[str, object], report: ServeReport | None, phase: Phase, ready: bool
) -> None:
    seen = replica(record(**fields), report=report, preparing=None, removing=False)
    assert (seen.phase, seen.ready) == (phase, ready)
    removed = replica(record(**fields), report=report, preparing=None, removing=True)
    assert (removed.phase, removed.ready) == (Phase.STOPPING, False)


def test_preparing_after_a_failure_is_not_backing_off() -> None:
    seen = replica(
        record(failure=FAILURE), report=None, preparing=Progress(message="Preparing environment…"), removing=False
    )
    assert (seen.phase, seen.failure) == (Phase.PENDING, FAILURE)
    assert seen.progress is not None


def test_a_failure_is_shown_until_it_answers_again() -> None:
    answering = ServeReport(stage=Stage.READY, ready=True)
    loading = ServeReport(stage=Stage.LOADING)
    failed = record(run=RUN, failure=FAILURE)
    assert replica(failed, report=loading, preparing=None, removing=False).failure == FAILURE
    assert replica(failed, report=answering, preparing=None, removing=False).failure is None


def test_a_download_tells_how_far_it_is() -> None:
    report = ServeReport(stage=Stage.FETCHING, message="m.gguf", done_bytes=5, total_bytes=10, eta_seconds=3.0)
    seen = replica(record(run=RUN), report=report, preparing=None, removing=False)
    assert seen.progress is not None
    assert (seen.progress.done, seen.progress.total, seen.progress.eta_seconds) == (5, 10, 3.0)


def test_names_are_never_used_twice_and_stay_short() -> None:
    names = {replica_name("a" * 253, "0123456789") for _ in range(100)}
    assert len(names) == 100
    assert max(map(len, names)) < 64


@pytest.mark.parametrize(
    ("count", "given", "devices", "chosen"),
    [
        pytest.param(0, [], 4, (), id="none for a replica that needs none"),
        pytest.param(1, [], 4, (0,), id="the first one at first"),
        pytest.param(1, [(0,), (1,)], 4, (2,), id="a free one next"),
        pytest.param(2, [(0,)], 4, (1, 2), id="several at once"),
        pytest.param(1, [(0,), (0,), (1,)], 2, (1,), id="the least used when none is free"),
        pytest.param(3, [], 2, (0, 1), id="no more than there are"),
    ],
)
def test_accelerators_are_shared_evenly(
    count: int, given: list[tuple[int, ...]], devices: int, chosen: tuple[int, ...]
) -> None:
    assert least_used(count, given, range(devices)) == chosen
