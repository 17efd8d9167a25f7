"""The whole of it on one machine: real gateway, real engines, a model whose answers are known by heart."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from inferry.api.status import ConditionType
from inferry.local import objects
from support.local_machine import (
    LocalMachine,
    answers,
    client,
    kill,
    listener,
    machine,
    traffic,
    until,
)

BROKEN_PYTHON = {"env": [{"name": "PYTHONHOME", "value": "/nowhere"}]}


@pytest.fixture(scope="session")
def environments(llamacpp_python: Path) -> Path:
    return llamacpp_python.parents[2]


@pytest.fixture
async def local(tmp_path: Path, environments: Path) -> AsyncIterator[LocalMachine]:
    async with machine(tmp_path, environments) as running:
        yield running


async def test_apply_answer_terminate(local: LocalMachine) -> None:
    local.apply("parrot")
    await answers(local, "parrot")
    await local.settled("parrot")
    assert len(local.pids_of("inferry_runtime.serve")) == 1
    assert objects.delete(local.home, "parrot")
    await until(lambda: objects.known(local.home, "parrot") is None)
    assert local.pids_of("inferry_runtime.serve") == []
    assert list(local.home.replicas.iterdir()) == []
    async with client(local) as session:
        assert (await session.get("/v1/models")).json()["data"] == []


async def test_a_change_rolls_without_a_failed_request(local: LocalMachine) -> None:
    local.apply("parrot")
    await local.settled("parrot")
    (before,) = local.replicas("parrot")
    async with traffic(local, "parrot") as ledger:
        await until(lambda: ledger.right > 5)
        local.apply("parrot", engine={"args": {"n_ctx": 8192}})
        await local.settled("parrot")
        seen = ledger.right
        await until(lambda: ledger.right > seen + 5)
    (after,) = local.replicas("parrot")
    assert (ledger.failed, ledger.wrong) == ([], [])
    assert before.revision != after.revision
    assert len(local.pids_of("inferry_runtime.serve")) == 1


async def test_scaling_adds_and_removes_processes_without_a_failed_request(local: LocalMachine) -> None:
    local.apply("parrot")
    await local.settled("parrot")
    async with traffic(local, "parrot") as ledger:
        for replicas in (3, 1):
            local.apply("parrot", replicas=replicas)
            await local.settled("parrot")
            await until(lambda count=replicas: len(local.pids_of("inferry_runtime.serve")) == count)  # type: ignore[misc]
    assert (ledger.failed, ledger.wrong) == ([], [])
    assert ledger.right


async def test_a_suspended_deployment_keeps_its_object_and_no_process(local: LocalMachine) -> None:
    local.apply("parrot")
    await local.settled("parrot")
    local.apply("parrot", suspend=True)
    await until(lambda: not local.pids_of("inferry_runtime.serve"))
    async with client(local) as session:
        refused = await session.post("/v1/chat/completions", json={"model": "parrot", "messages": []})
    assert refused.status_code == 503
    local.apply("parrot")
    await answers(local, "parrot")


@pytest.mark.parametrize("victim", ["inferry_runtime.serve", "llamacpp_server"])
async def test_a_killed_engine_comes_back(local: LocalMachine, victim: str) -> None:
    local.apply("parrot")
    await local.settled("parrot")
    killed = local.pids_of(victim)
    for pid in killed:
        kill(pid)
    await until(lambda: local.replicas("parrot")[0].restarts == 1)
    await answers(local, "parrot")
    assert set(local.pids_of(victim)).isdisjoint(killed)
    assert len(local.pids_of("llamacpp_server")) == 1


async def test_a_killed_gateway_comes_back_and_the_engines_stay(local: LocalMachine) -> None:
    local.apply("parrot")
    await local.settled("parrot")
    engines = local.pids_of("llamacpp_server")
    for pid in local.pids_of("inferry.gateway"):
        kill(pid)
    await answers(local, "parrot")
    assert local.pids_of("llamacpp_server") == engines


async def test_engines_answer_on_while_their_owner_is_dead_and_are_taken_over(local: LocalMachine) -> None:
    local.apply("parrot")
    await local.settled("parrot")
    before = {*local.processes()} - {local.owner_pid}
    async with traffic(local, "parrot") as ledger:
        await local.end(signal.SIGKILL)
        seen = ledger.right
        await until(lambda: ledger.right > seen + 5)
        assert (await local.start()).startswith("READY")
        await local.settled("parrot")
        seen = ledger.right
        await until(lambda: ledger.right > seen + 5)
    assert (ledger.failed, ledger.wrong) == ([], [])
    assert {*local.processes()} - {local.owner_pid} == before


async def test_objects_that_changed_while_nobody_looked_are_caught_up_with(local: LocalMachine) -> None:
    local.apply("gone")
    local.apply("changed")
    await local.settled("gone", "changed")
    await local.end(signal.SIGKILL)
    objects.delete(local.home, "gone")
    local.apply("changed", replicas=2)
    local.apply("new")
    await local.start()
    await local.settled("changed", "new")
    await until(lambda: objects.known(local.home, "gone") is None)
    assert len(local.pids_of("inferry_runtime.serve")) == 3


async def test_what_died_with_its_owner_is_started_again_without_being_blamed(local: LocalMachine) -> None:
    local.apply("parrot")
    await local.settled("parrot")
    (before,) = local.replicas("parrot")
    await local.end(signal.SIGKILL)
    for pid in local.pids_of("inferry_runtime.serve"):
        kill(pid)
    await local.start()
    await answers(local, "parrot")
    (after,) = local.replicas("parrot")
    assert (after.name, after.restarts, after.failure) == (before.name, 0, None)
    assert after.run != before.run


async def test_corrupt_state_is_set_aside_and_everything_is_served_again(local: LocalMachine) -> None:
    local.apply("parrot")
    await local.settled("parrot")
    await local.end(signal.SIGKILL)
    (replica,) = local.home.replicas.iterdir()
    for path in (replica / "record.json", local.home.snapshot, local.home.gateway_record, local.home.status("parrot")):
        path.write_bytes(path.read_bytes()[:20])
    (local.home.deployments / "broken.yaml").write_text("metadata: {na")
    os.utime(local.home.deployments / "broken.yaml", (0, 0))
    await local.start()
    await local.settled("parrot")
    await answers(local, "parrot")
    kept = {path.name.split("-", 2)[2] for path in local.home.set_aside.iterdir()}
    assert {"deployments-broken.yaml", "status-parrot.yaml", "gateway-snapshot.json"} <= kept
    assert len(local.pids_of("inferry_runtime.serve")) == len(local.pids_of("inferry.gateway")) == 1


async def test_a_crash_is_shown_with_its_cause_and_repaired_by_the_next_version(local: LocalMachine) -> None:
    local.apply("parrot", engine=BROKEN_PYTHON)
    await until(lambda: any(record.restarts >= 2 for record in local.replicas("parrot")))
    (failing,) = local.replicas("parrot")
    ready = local.condition("parrot", ConditionType.READY)
    assert ready is not None and ready.status == "False"
    assert failing.failure is not None and failing.failure.log_tail
    local.apply("parrot")
    await local.settled("parrot")
    await answers(local, "parrot")
    assert len(local.pids_of("inferry_runtime.serve")) == 1


async def test_a_failing_change_leaves_what_works_alone(local: LocalMachine) -> None:
    local.apply("parrot")
    await local.settled("parrot")
    async with traffic(local, "parrot") as ledger:
        local.apply("parrot", engine=BROKEN_PYTHON)
        await until(lambda: any(record.restarts >= 2 for record in local.replicas("parrot")))
        local.apply("parrot")
        await local.settled("parrot")
    assert (ledger.failed, ledger.wrong) == ([], [])
    assert len(local.pids_of("inferry_runtime.serve")) == 1


async def test_the_older_of_two_keeps_a_served_name_until_it_goes(local: LocalMachine) -> None:
    local.apply("old", served_names=["chat"])
    await local.settled("old")
    local.apply("new", served_names=["chat"])
    await until(lambda: _reason(local, "new", ConditionType.ACCEPTED) == "NameConflict")
    assert len(local.pids_of("inferry_runtime.serve")) == 1
    await answers(local, "chat")
    objects.delete(local.home, "old")
    await local.settled("new")
    await answers(local, "chat")


async def test_a_second_owner_is_told_who_the_first_is(local: LocalMachine) -> None:
    second = LocalMachine.__new__(LocalMachine)
    second.home, second.port, second.log = local.home, local.port, local.log
    said = await second.start()
    assert await second.ended() == 1
    assert said.startswith("AlreadyRunning")
    assert f"pid {local.owner_pid}" in said and local.url in said


async def test_a_port_in_use_is_told_with_the_pid_that_uses_it(tmp_path: Path, environments: Path) -> None:
    local = LocalMachine(tmp_path, environments)
    with listener(local.port):
        said = await local.start()
        assert await local.ended() == 1
    assert said.startswith("PortInUse")
    assert f"process {os.getpid()}" in said and "--port" in said
    assert not local.processes()


async def test_a_second_signal_does_not_wait_for_running_answers(local: LocalMachine) -> None:
    local.apply("parrot")
    await local.settled("parrot")
    for pid in local.pids_of("llamacpp_server"):
        os.kill(pid, signal.SIGSTOP)
    async with traffic(local, "parrot") as ledger:
        os.kill(local.owner_pid, signal.SIGTERM)
        assert await local.end(signal.SIGTERM) == 0
    assert ledger.right == 0
    assert not local.processes()


async def test_an_address_of_another_machine_is_told_as_such(tmp_path: Path, environments: Path) -> None:
    local = LocalMachine(tmp_path, environments)
    said = await local.start("192.0.2.1")
    assert await local.ended() == 1
    assert said.startswith("GatewayFailed") and "192.0.2.1" in said
    assert not local.processes()


async def test_an_end_asked_for_during_the_start_is_an_end(tmp_path: Path, environments: Path) -> None:
    local = LocalMachine(tmp_path, environments)
    starting = asyncio.ensure_future(local.start())
    await until(lambda: bool(local.pids_of("inferry.gateway")))
    assert await local.end(signal.SIGINT) == 0
    await starting
    assert not local.processes()


def _reason(local: LocalMachine, name: str, about: ConditionType) -> str:
    found = local.condition(name, about)
    return found.reason if found else ""
