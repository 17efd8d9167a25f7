"""Whatever happens to replicas, a rollout keeps its promises and comes to its end."""

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from inferry.plan.plan import make_plan
from inferry.plan.types import Phase, Plan, PlanInput, Replica
from worlds.replicas import STEP_SECONDS, Chance, advanced, as_observed, carry_out, happen
from worlds.samples import a_decision, a_deployment, an_inspection

EVENTS = st.sampled_from(["advance", "advance", "advance", "fail", "busy", "idle", "nothing"])
CHANCES = st.builds(Chance, which=st.integers(0, 9), event=EVENTS)
SPECS = st.builds(
    lambda version, replicas, suspend: (f"1.{version}", replicas, suspend),
    version=st.integers(0, 2),
    replicas=st.integers(0, 4),
    suspend=st.sampled_from([False, False, False, True]),
)
TURNS = st.lists(st.tuples(SPECS, st.lists(CHANCES, max_size=12)), min_size=1, max_size=5)


@dataclass
class World:
    replicas: tuple[Replica, ...] = ()
    serial: int = 0
    now: float = 1000.0

    def plan(self, spec: tuple[str, int, bool] | None) -> tuple[Plan, int]:
        if spec is None:
            return make_plan(PlanInput(deployment=None, observed=as_observed(self.replicas), now=self.now)), 0
        version, replicas, suspend = spec
        given_now = PlanInput(
            deployment=a_deployment(replicas=replicas, suspend=suspend),
            model=an_inspection(),
            decision=a_decision(version=version),
            observed=as_observed(self.replicas),
            now=self.now,
        )
        plan = make_plan(given_now)
        assert make_plan(given_now) == plan
        return plan, 0 if suspend else replicas

    def step(self, spec: tuple[str, int, bool] | None) -> Plan:
        """Plans, checks the promises against what was there before, and carries it out."""
        plan, desired = self.plan(spec)
        before = self.replicas
        self.replicas, self.serial = carry_out(before, plan, self.now, self.serial)
        check_promises(plan, before, self.replicas, desired)
        self.now += STEP_SECONDS
        return plan

    def settle(self, spec: tuple[str, int, bool] | None) -> None:
        """Nothing fails any more and every answer ends: the world has to come to rest."""
        for _ in range(200):
            plan = self.step(spec)
            before = self.replicas
            self.replicas = tuple(advanced(_idle(replica)) for replica in self.replicas)
            at_rest = not plan.drain and not plan.remove and plan.again_after is None
            if (
                at_rest
                and self.replicas == before
                and len(standing(before)) == sum(target.replicas for target in plan.revisions)
            ):
                return
        raise AssertionError(f"not at rest: {self.replicas}")


def _idle(replica: Replica) -> Replica:
    return happen((replica,), Chance(0, "idle"))[0]


def standing(replicas: tuple[Replica, ...]) -> list[Replica]:
    return [one for one in replicas if one.draining_since is None and one.phase is not Phase.STOPPING]


def ready(replicas: tuple[Replica, ...]) -> int:
    return sum(one.ready for one in standing(replicas))


def check_promises(plan: Plan, before: tuple[Replica, ...], after: tuple[Replica, ...], desired: int) -> None:
    assert ready(after) >= min(ready(before), desired), "a rollout took an answering replica too many"
    allowed = max(desired + 1, len(standing(before)))
    assert len(standing(after)) <= allowed, "more replicas than wanted and one"
    by_name = {one.name: one for one in before}
    for name in plan.remove:
        gone = by_name[name]
        assert gone.draining_since is not None or not gone.ready, "an answering replica was removed without draining"
        assert not gone.in_flight or gone.draining_since is not None, "a running answer was cut without draining"
    assert not set(plan.drain) & set(plan.remove)


def as_wanted(world: World, spec: tuple[str, int, bool]) -> None:
    plan, desired = world.plan(spec)
    assert [target.replicas for target in plan.revisions] == [desired]
    assert len(world.replicas) == desired
    assert all(one.ready and one.revision == plan.revisions[0].revision for one in world.replicas)


@settings(max_examples=150, deadline=None)
@given(TURNS)
def test_a_rollout_keeps_its_promises_and_ends_as_the_last_spec_says(turns):
    world = World()
    for spec, chances in turns:
        world.step(spec)
        for chance in chances:
            world.replicas = happen(world.replicas, chance)
            world.step(spec)
    last = turns[-1][0]
    world.settle(last)
    as_wanted(world, last)


@settings(max_examples=50, deadline=None)
@given(TURNS)
def test_a_deletion_ends_with_nothing_left(turns):
    world = World()
    for spec, chances in turns:
        world.step(spec)
        for chance in chances:
            world.replicas = happen(world.replicas, chance)
    world.settle(None)
    assert world.replicas == ()


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 4), st.lists(st.integers(0, 9), max_size=20))
def test_a_revision_that_always_fails_never_costs_an_answering_replica(replicas, turns):
    world = World()
    world.settle(("1.0", replicas, False))
    for which in turns:
        world.step(("1.1", replicas, False))
        world.replicas = tuple(
            happen((one,), Chance(which, "fail"))[0] if one.revision != world.replicas[0].revision else one
            for one in world.replicas
        )
        assert ready(world.replicas) == replicas


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 4), st.integers(0, 30))
def test_going_back_uses_the_old_replicas_that_are_still_there(replicas, steps):
    world = World()
    world.settle(("1.0", replicas, False))
    first = {one.name for one in world.replicas}
    for _ in range(steps):
        world.step(("1.1", replicas, False))
        world.replicas = tuple(advanced(one) for one in world.replicas)
    still = {one.name for one in standing(world.replicas)} & first
    world.settle(("1.0", replicas, False))
    assert still <= {one.name for one in world.replicas}
