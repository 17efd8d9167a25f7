"""Pure: what a replica looks like to the plan, from its record, what is being prepared for it, and its last report."""

from inferry.local.records import ReplicaRecord
from inferry.plan.types import Phase, Progress, Replica
from inferry_runtime.report import ServeReport, Stage

HOST = "127.0.0.1"

_PHASES = {
    Stage.FETCHING: Phase.DOWNLOADING,
    Stage.VERIFYING: Phase.DOWNLOADING,
    Stage.LOADING: Phase.LOADING,
    Stage.PROBING: Phase.LOADING,
    Stage.READY: Phase.READY,
    # On its own account, not because it is removed: it will be started again.
    Stage.DRAINING: Phase.PENDING,
    Stage.ENDED: Phase.PENDING,
}
_WORDS = {
    Stage.FETCHING: "Downloading the model",
    Stage.VERIFYING: "Verifying the model",
    Stage.LOADING: "Loading the model",
    Stage.PROBING: "Asking the first question",
}


def replica(
    record: ReplicaRecord, *, report: ServeReport | None, preparing: Progress | None, removing: bool
) -> Replica:
    """`report` is what the running process last said, None before its first word."""
    ready = report is not None and report.ready and not removing
    return Replica(
        name=record.name,
        revision=record.revision,
        phase=Phase.STOPPING if removing else _phase(record, report, preparing),
        ready=ready,
        created_at=record.created_at,
        host=HOST if record.run else "",
        port=record.run.port if record.run else 0,
        draining_since=record.draining_since,
        progress=preparing or _progress(report),
        note=report.note if report is not None else "",
        failure=None if ready else record.failure,
    )


def _phase(record: ReplicaRecord, report: ServeReport | None, preparing: Progress | None) -> Phase:
    if record.run is None:
        return Phase.BACKING_OFF if record.failure and not preparing else Phase.PENDING
    if report is None:
        return Phase.LOADING
    if report.stage is Stage.READY and not report.ready:
        return Phase.LOADING
    return _PHASES[report.stage]


def _progress(report: ServeReport | None) -> Progress | None:
    if report is None or report.stage not in _WORDS:
        return None
    return Progress(
        message=report.message or _WORDS[report.stage],
        done=report.done_bytes,
        total=report.total_bytes,
        per_second=report.bytes_per_second,
        eta_seconds=report.eta_seconds,
    )
