"""What one look at a deployment costs: `python tests/bench/reconcile.py [deployments]`. Prints, asserts nothing."""

import asyncio
import sys
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from inferry.plan.plan import make_plan
from inferry.plan.types import PlanInput
from worlds.samples import a_decision, a_deployment, a_replica, an_inspection, observed
from worlds.tiny import a_stage

PLANS = 2000
ROUNDS = 5


def milliseconds(started: float, count: int) -> float:
    return (time.perf_counter() - started) * 1000 / count


def plan_alone() -> float:
    given = PlanInput(
        deployment=a_deployment(), model=an_inspection(), decision=a_decision(), observed=observed(), now=0.0
    )
    plan = make_plan(given)
    replicas = observed(a_replica("a", plan.revisions[0].revision))
    given = replace(given, deployment=a_deployment(status=plan.status), observed=replicas)
    started = time.perf_counter()
    for _ in range(PLANS):
        make_plan(given)
    return milliseconds(started, PLANS)


async def whole_looks(count: int) -> tuple[float, float]:
    async with a_stage(workers=8) as stage:
        started = time.perf_counter()
        keys = [await stage.apply(f"model-{number}") for number in range(count)]
        for key in keys:
            await stage.until_rest(key)
        up = milliseconds(started, count)
        started = time.perf_counter()
        for _ in range(ROUNDS):
            for key in keys:
                stage.controller.add(key)
            await stage.controller.settled()
        return up, milliseconds(started, count * ROUNDS)


async def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    up, look = await whole_looks(count)
    print(f"plan alone, nothing to do:              {plan_alone():.3f} ms")
    print(f"look, plan, apply, report, nothing new: {look:.3f} ms per deployment, {count} deployments")
    print(f"from nothing to ready, all looks:       {up:.3f} ms per deployment")


if __name__ == "__main__":
    asyncio.run(main())
