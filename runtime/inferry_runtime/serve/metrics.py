"""A replica's own figures in Prometheus' text format."""

import os
from pathlib import Path

from inferry_runtime.report import Stage
from inferry_runtime.serve.board import Board


def metrics_text(board: Board) -> str:
    """Every series is there from the start, except those that have no value yet."""
    lines: list[str] = []
    _add(lines, "inferry_serve_stage", "gauge", "1 for the stage the replica is in.", _stages(board.report.stage))
    for name, kind, text, value in _single(board):
        if value is not None:
            _add(lines, name, kind, text, {"": value})
    return "\n".join([*lines, ""])


def resident_bytes(pid: int | None) -> int | None:
    """Memory of one process; None where /proc does not tell, or when it is gone."""
    if pid is None:
        return None
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def _stages(current: Stage) -> dict[str, float]:
    return {f'{{stage="{stage}"}}': float(stage is current) for stage in Stage}


def _single(board: Board) -> list[tuple[str, str, str, float | None]]:
    report = board.report
    return [
        ("inferry_serve_ready", "gauge", "1 when the engine has answered its first question.", float(report.ready)),
        ("inferry_serve_start_time_seconds", "gauge", "Unix time at which the replica started.", report.started_at),
        ("inferry_serve_fetched_bytes", "gauge", "Model bytes that are here.", float(board.fetched_bytes)),
        ("inferry_serve_model_bytes", "gauge", "Model bytes the order asks for.", float(board.model_bytes)),
        ("inferry_serve_load_seconds", "gauge", "From engine start to first answer.", board.load_seconds()),
        (
            "inferry_serve_engine_resident_bytes",
            "gauge",
            "Resident memory of the engine's main process.",
            resident_bytes(report.engine_pid),
        ),
    ]


def _add(lines: list[str], name: str, kind: str, text: str, values: dict[str, float]) -> None:
    lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
    lines += [f"{name}{labels} {value:.17g}" for labels, value in values.items()]
