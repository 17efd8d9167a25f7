"""The loop in a tiny world: whatever happens, it ends as the objects say."""

import asyncio
import logging
from dataclasses import replace

import pytest

from inferry.api.conditions import condition
from inferry.api.status import ConditionType
from inferry.control.errors import Terminal, WorldError
from inferry.control.loop import RESYNC_SECONDS
from inferry.control.world import Key
from inferry_runtime.hardware import Inventory
from inferry_runtime.model.errors import HubUnreachable, ModelNotFound, Unauthorized
from worlds.samples import a_decision, an_inspection, no_decision
from worlds.tiny import a_stage

MAIN = {"source": "hf://Qwen/Qwen2.5-0.5B-Instruct-GGUF", "revision": "main"}


def reason(status, type_=ConditionType.READY):
    found = condition(status.conditions, type_)
    return found.reason


async def test_a_deployment_comes_up():
    async with a_stage() as stage:
        key = await stage.apply(replicas=2)
        assert reason(stage.status(key)) in ("NoReplicas", "Inspecting", "Preparing")
        await stage.until_rest(key)
        assert len(stage.ready(key)) == 2
        assert (stage.status(key).phase, stage.status(key).ready_replicas) == ("Ready", 2)


async def test_a_change_rolls_without_a_gap():
    async with a_stage() as stage:
        key = await stage.apply(replicas=2)
        await stage.until_rest(key)
        before = stage.ready(key)
        await stage.apply(replicas=2, engine={"name": "llamacpp", "version": "2.0"})
        for _ in range(40):
            assert len(stage.ready(key)) >= 2
            await stage.grow(key)
            await stage.later(0.3)
        assert len(stage.ready(key)) == 2
        assert not set(stage.ready(key)) & set(before)
        assert stage.status(key).resolved.engine.version == "2.0"


async def test_a_spec_that_changes_in_the_middle_of_a_rollout_wins():
    async with a_stage() as stage:
        key = await stage.apply(replicas=3)
        await stage.until_rest(key)
        await stage.apply(replicas=3, engine={"name": "llamacpp", "version": "2.0"})
        await stage.grow(key)
        await stage.apply(replicas=1, engine={"name": "llamacpp", "version": "3.0"})
        await stage.until_rest(key)
        assert len(stage.world.replicas[key]) == 1
        assert stage.status(key).resolved.engine.version == "3.0"


async def test_a_revision_that_crashes_leaves_the_old_one_answering():
    async with a_stage() as stage:
        key = await stage.apply()
        await stage.until_rest(key)
        (old,) = stage.ready(key)
        await stage.apply(engine={"name": "llamacpp", "version": "2.0"})
        stage.world.replicas[key] = {
            name: one if name == old else replace(one, failure=None) for name, one in stage.world.replicas[key].items()
        }
        kept = stage.world.replicas[key][old]
        stage.world.crash(key)
        stage.world.replicas[key][old] = kept
        await stage.look(key)
        assert stage.ready(key) == [old]
        assert reason(stage.status(key), ConditionType.PROGRESSING) == "EngineCrashed"
        assert reason(stage.status(key)) == "Ready"


async def test_a_deletion_drains_then_removes_then_forgets():
    async with a_stage() as stage:
        key = await stage.apply(replicas=2)
        await stage.until_rest(key)
        await stage.delete(key)
        assert all(one.draining_since for one in stage.world.replicas[key].values())
        await stage.later(1.0)
        await stage.later(1.0)
        assert key not in stage.world.replicas
        assert stage.world.forgotten == [key]


async def test_an_object_deleted_while_it_is_looked_at_is_gone_afterwards():
    async with a_stage() as stage:
        gate = stage.world.gates["apply"] = asyncio.Event()
        key = Key("default", "qwen")
        applying = asyncio.create_task(stage.apply())
        for _ in range(20):
            await asyncio.sleep(0)
        assert stage.world.calls["apply"] == 1
        del stage.world.deployments[key]
        stage.controller.add(key)
        gate.set()
        await applying
        await stage.later(1.0)
        await stage.later(1.0)
        assert stage.world.forgotten == [key]


async def test_a_slow_hub_keeps_nobody_waiting():
    async with a_stage(workers=1) as stage:
        stage.world.gates["inspect"] = asyncio.Event()
        slow = await stage.apply("slow")
        assert reason(stage.status(slow)) == "Inspecting"
        gone = await stage.apply("gone")
        await stage.delete(gone)
        assert stage.world.forgotten == [gone]
        stage.world.gates.pop("inspect").set()
        await stage.settle()
        await stage.until_rest(slow)
        assert len(stage.ready(slow)) == 1


async def test_a_spec_that_changes_while_its_model_is_read_gets_the_new_model():
    async with a_stage() as stage:
        gate = stage.world.gates["inspect"] = asyncio.Event()
        await stage.apply(model={"source": "hf://a/old"})
        key = await stage.apply(model={"source": "hf://a/new", "revision": "v2"})
        gate.set()
        await stage.settle()
        await stage.until_rest(key)
        assert stage.world.inspected == [None, "v2"]
        assert stage.status(key).resolved.model.revision == "v2"


async def test_a_model_that_is_not_there_is_asked_for_once_until_the_spec_changes():
    async with a_stage() as stage:
        stage.world.trouble["inspect"] = ModelNotFound("There is no such repository.", hint="Check it.")
        key = await stage.apply()
        assert reason(stage.status(key)) == "ModelNotFound"
        await stage.later(3600.0)
        assert stage.world.calls["inspect"] == 1
        del stage.world.trouble["inspect"]
        await stage.apply(model={"source": "hf://Qwen/Other"})
        await stage.until_rest(key)
        assert len(stage.ready(key)) == 1


async def test_new_credentials_are_tried_when_somebody_says_so():
    async with a_stage() as stage:
        stage.world.trouble["inspect"] = Unauthorized("It is gated.")
        key = await stage.apply()
        assert reason(stage.status(key)) == "GatedOrUnauthorized"
        del stage.world.trouble["inspect"]
        await stage.look(key)
        assert reason(stage.status(key)) == "GatedOrUnauthorized"
        stage.controller.refresh(key)
        await stage.settle()
        await stage.until_rest(key)
        assert stage.status(key).phase == "Ready"


async def test_a_hub_that_comes_back_is_asked_again_by_itself():
    async with a_stage() as stage:
        stage.world.trouble["inspect"] = HubUnreachable("No answer.")
        key = await stage.apply()
        assert reason(stage.status(key)) == "HubUnreachable"
        await stage.later(60.0)
        assert 3 <= stage.world.calls["inspect"] <= 10
        del stage.world.trouble["inspect"]
        await stage.later(120.0)
        await stage.until_rest(key)
        assert stage.status(key).phase == "Ready"


async def test_a_branch_that_moves_moves_nothing_until_the_model_changes():
    async with a_stage() as stage:
        stage.world.models["main"] = an_inspection("a" * 40)
        key = await stage.apply(model=MAIN)
        await stage.until_rest(key)
        stage.world.models["main"] = an_inspection("b" * 40)
        before = stage.ready(key)
        await stage.apply(model=MAIN, replicas=2)
        await stage.until_rest(key)
        assert set(before) < set(stage.ready(key))
        assert stage.status(key).resolved.model.revision == "a" * 40
    async with a_stage() as restarted:
        restarted.world.models["main"] = an_inspection("b" * 40)
        restarted.world.deployments = stage.world.deployments
        restarted.world.replicas = stage.world.replicas
        await restarted.look(key)
        await restarted.until_rest(key)
        assert restarted.world.inspected == ["a" * 40]
        assert len(restarted.ready(key)) == 2
        assert set(before) < set(restarted.ready(key))


async def test_an_engine_that_was_chosen_stays_while_it_fits():
    answers = {(None, None): a_decision("llamacpp", "1.0")}

    def decide(engine, version):
        return answers.get((engine, version), no_decision())

    async with a_stage(decide=decide) as stage:
        key = await stage.apply()
        await stage.until_rest(key)
        before = stage.ready(key)
        answers[(None, None)] = a_decision("vllm", "9.0")
        answers[("llamacpp", "1.0")] = a_decision("llamacpp", "1.0")
        stage.world.hardware = Inventory(nodes=())
        await stage.look(key)
        await stage.until_rest(key)
        assert stage.ready(key) == before
        del answers[("llamacpp", "1.0")]
        await stage.apply(resources={"requests": {"cpu": "1"}})
        await stage.until_rest(key)
        assert stage.status(key).resolved.engine.name == "vllm"


async def test_equal_questions_are_decided_once():
    async with a_stage() as stage:
        key = await stage.apply()
        await stage.until_rest(key)
        decided = len(stage.decisions)
        for replicas in (2, 3):
            await stage.apply(replicas=replicas)
            await stage.until_rest(key)
        assert len(stage.decisions) == decided


async def test_a_status_is_written_only_when_it_differs():
    async with a_stage() as stage:
        key = await stage.apply()
        await stage.until_rest(key)
        written = stage.world.calls["report"]
        for _ in range(10):
            await stage.look(key)
            await stage.later(5.0)
        assert stage.world.calls["report"] == written


async def test_a_world_that_refuses_is_asked_again_later_each_time_and_the_status_says_so(caplog):
    async with a_stage() as stage:
        stage.world.trouble["apply"] = WorldError("No port is free.")
        key = await stage.apply()
        assert reason(stage.status(key), ConditionType.PROGRESSING) == "ApplyFailed"
        for _ in range(100):
            await stage.later(0.5)
        assert 8 <= stage.world.calls["apply"] <= 14
        del stage.world.trouble["apply"]
        await stage.later(60.0)
        await stage.until_rest(key)
        assert stage.status(key).phase == "Ready"


async def test_a_world_that_says_when_is_not_asked_before():
    async with a_stage() as stage:
        stage.world.trouble["apply"] = WorldError("Slow down.", retry_after_seconds=50.0)
        await stage.apply()
        called = stage.world.calls["apply"]
        await stage.later(49.0)
        assert stage.world.calls["apply"] == called
        await stage.later(1.5)
        assert stage.world.calls["apply"] == called + 1


async def test_what_is_refused_for_good_waits_for_a_change():
    async with a_stage() as stage:
        stage.world.trouble["apply"] = Terminal("That is forbidden.")
        key = await stage.apply()
        called = stage.world.calls["apply"]
        await stage.later(3600.0)
        assert stage.world.calls["apply"] == called
        await stage.look(key)
        assert stage.world.calls["apply"] == called + 1
        assert stage.controller.statistics().given_up >= 2


async def test_a_storm_of_errors_in_one_deployment_leaves_the_others_alone(caplog):
    def decide(engine, version):
        if engine == "mlx":
            raise RuntimeError("a defect")
        return a_decision(engine or "llamacpp")

    async with a_stage(workers=1, decide=decide) as stage:
        with caplog.at_level(logging.CRITICAL, logger="inferry.control"):
            for number in range(20):
                await stage.apply(f"bad-{number}", engine={"name": "mlx"})
            key = await stage.apply("good")
            await stage.until_rest(key)
        assert stage.status(key).phase == "Ready"
        assert stage.controller.statistics().retried >= 20


async def test_an_inspection_with_a_defect_is_a_condition_and_not_the_end(caplog):
    async with a_stage() as stage:
        stage.world.trouble["inspect"] = RuntimeError("a defect")
        with caplog.at_level(logging.CRITICAL, logger="inferry.control"):
            key = await stage.apply()
        assert reason(stage.status(key)) == "ModelError"
        del stage.world.trouble["inspect"]
        await stage.later(10.0)
        await stage.until_rest(key)
        assert stage.status(key).phase == "Ready"


async def test_a_lost_event_is_made_up_for_by_the_resync():
    async with a_stage() as stage:
        key = await stage.apply()
        await stage.until_rest(key)
        stage.world.crash(key)
        await stage.later(RESYNC_SECONDS)
        assert reason(stage.status(key)) == "EngineCrashed"


async def test_names_of_replicas_are_the_same_in_every_world():
    names = []
    for _ in range(2):
        async with a_stage() as stage:
            key = await stage.apply(replicas=2)
            await stage.until_rest(key)
            names.append(stage.ready(key))
    assert names[0] == names[1]


async def test_many_deployments_at_once_come_up_and_are_counted():
    async with a_stage(workers=8) as stage:
        keys = [await stage.apply(f"model-{number}") for number in range(50)]
        for key in keys:
            await stage.until_rest(key)
        assert all(stage.status(key).phase == "Ready" for key in keys)
        statistics = stage.controller.statistics()
        assert statistics.reconciles == statistics.done + statistics.again
        assert statistics.waiting == 0
        assert statistics.delayed == 50


@pytest.mark.parametrize("spec", [{"suspend": True}, {"replicas": 0}], ids=["suspended", "scaled to zero"])
async def test_nothing_runs_when_nothing_is_wanted_and_comes_back(spec):
    async with a_stage() as stage:
        key = await stage.apply()
        await stage.until_rest(key)
        await stage.apply(**spec)
        await stage.until_rest(key)
        assert stage.world.replicas[key] == {}
        await stage.apply()
        await stage.until_rest(key)
        assert len(stage.ready(key)) == 1


async def test_a_wrong_spec_stops_nothing_and_says_what_is_wrong():
    async with a_stage() as stage:
        key = await stage.apply()
        await stage.until_rest(key)
        before = stage.ready(key)
        await stage.apply(model={"source": "hff://a/b"})
        assert stage.ready(key) == before
        accepted = condition(stage.status(key).conditions, ConditionType.ACCEPTED)
        assert (accepted.status, accepted.reason) == ("False", "InvalidSource")
        assert 'spec.model.source "hff://a/b"' in accepted.message
