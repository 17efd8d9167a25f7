"""A gated model on one machine: refused with the way out, served once the secret is there, its token nowhere else."""

import os
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.server import Fault, Hub
from inferry.api.status import ConditionType
from inferry.local import objects
from support.local_machine import LocalMachine, answers, machine, until

TOKEN = "hf_friend_of_birds"


@pytest.fixture
def hub(parrot_gguf: Path) -> Iterator[Hub]:
    with Hub() as running:
        running.add_model("birds/parrot", {parrot_gguf.name: parrot_gguf.read_bytes()}, gated=True)
        running.add_token(TOKEN)
        yield running


@pytest.fixture
async def local(tmp_path: Path, llamacpp_python: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LocalMachine]:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    async with machine(tmp_path, llamacpp_python.parents[2]) as running:
        yield running


def gated(hub: Hub, **more: Any) -> dict[str, Any]:
    return {"source": "hf://birds/parrot", "mirror": hub.url, **more}


def write_secret(local: LocalMachine, token: str = TOKEN) -> Path:
    path = local.home.secret("hub")
    text = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: hub}}\nstringData: {{HF_TOKEN: {token}}}\n"
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def told(local: LocalMachine) -> str:
    """Why the gated model is refused; "" while it is not."""
    found = local.condition("parrot", ConditionType.MODEL_READY)
    return found.message if found is not None and found.reason == "GatedOrUnauthorized" else ""


async def refused(local: LocalMachine) -> str:
    await until(lambda: told(local) != "", lambda: local.story("parrot"))
    return told(local)


def is_selected(local: LocalMachine) -> bool:
    found = local.condition("parrot", ConditionType.ENGINE_SELECTED)
    return found is not None and found.status == "True"


def progress(local: LocalMachine) -> int:
    known = objects.known(local.home, "parrot")
    shown = known.status.progress if known is not None and known.status is not None else None
    return (shown.percent or 0) if shown is not None else 0


async def test_a_gated_model_without_a_token_says_what_to_do(local: LocalMachine, hub: Hub) -> None:
    local.apply("parrot", model=gated(hub))
    message = await refused(local)
    assert "secretRef" in message and "accept its licence" in message


async def test_a_missing_secret_names_the_file_and_heals_when_it_is_written(local: LocalMachine, hub: Hub) -> None:
    local.apply("parrot", model=gated(hub, secretRef={"name": "hub"}))
    message = await refused(local)
    assert str(local.home.secret("hub")) in message and "HF_TOKEN" in message
    write_secret(local, "hf_stranger")
    await until(lambda: "does not know this token" in told(local), lambda: local.story("parrot"))
    write_secret(local)
    await local.settled("parrot")
    await answers(local, "parrot")


async def test_a_gated_model_is_downloaded_with_progress_and_its_token_is_nowhere_else(
    local: LocalMachine, hub: Hub
) -> None:
    secret = write_secret(local)
    local.apply("parrot", model=gated(hub, secretRef={"name": "hub"}), suspend=True)
    await until(lambda: is_selected(local), lambda: local.story("parrot"))
    gate = threading.Event()
    hub.fail(Fault(match="/lfs/", gate=gate))
    try:
        local.apply("parrot", model=gated(hub, secretRef={"name": "hub"}))
        await until(lambda: progress(local) > 0, lambda: local.story("parrot"))
        (serving,) = local.pids_of("inferry_runtime.serve")
        assert TOKEN in environment(serving)
    finally:
        gate.set()
    await local.settled("parrot")
    await answers(local, "parrot")
    (engine,) = local.pids_of("llamacpp_server")
    (gateway,) = local.pids_of("inferry.gateway")
    assert TOKEN not in environment(engine) + environment(gateway) + environment(local.owner_pid)
    assert [path for path in files(local.home.root) if TOKEN.encode() in path.read_bytes()] == [secret]
    assert TOKEN not in local.log.read_text()


async def test_a_replica_that_was_refused_for_good_starts_when_the_secret_is_put_right(
    local: LocalMachine, hub: Hub
) -> None:
    write_secret(local)
    local.apply("parrot", model=gated(hub, secretRef={"name": "hub"}), suspend=True)
    await until(lambda: is_selected(local), lambda: local.story("parrot"))
    write_secret(local, "hf_stranger")
    local.apply("parrot", model=gated(hub, secretRef={"name": "hub"}))
    await refused(local)
    write_secret(local)
    await local.settled("parrot")
    await answers(local, "parrot")


async def test_a_running_model_does_not_care_when_its_secret_goes(local: LocalMachine, hub: Hub) -> None:
    secret = write_secret(local)
    local.apply("parrot", model=gated(hub, secretRef={"name": "hub"}))
    await local.settled("parrot")
    secret.unlink()
    for pid in local.pids_of("llamacpp_server"):
        os.kill(pid, 9)
    await until(lambda: local.replicas("parrot")[0].restarts == 1)
    await answers(local, "parrot")
    await local.settled("parrot")


def environment(pid: int) -> str:
    return Path(f"/proc/{pid}/environ").read_text()


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file() and "envs" not in path.parts]
