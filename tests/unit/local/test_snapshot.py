"""What the gateway is told."""

from pathlib import Path

from inferry.api.model_deployment import DeploymentSpec, Metadata, Model, ModelDeployment
from inferry.api.snapshot import EndpointState, ServedModel, Snapshot, decode
from inferry.api.status import (
    Condition,
    ConditionType,
    DeploymentStatus,
    MemoryEstimate,
    Resolved,
    ResolvedEngine,
    ResolvedModel,
    ResolvedResources,
)
from inferry.local.home import Home
from inferry.local.machine import routes
from inferry.local.publisher import SnapshotPublisher
from inferry.local.snapshot import Part, endpoint_id, following, models
from inferry.plan.types import Phase, Replica

ROUTES = ("/v1/chat/completions",)


def replica(name: str = "qwen-1", *, ready: bool = True, phase: Phase = Phase.READY, port: int = 20001) -> Replica:
    return Replica(name=name, revision="r", phase=phase, ready=ready, created_at=0.0, host="127.0.0.1", port=port)


def draining(name: str) -> Replica:
    return Replica(
        name=name,
        revision="r",
        phase=Phase.READY,
        ready=True,
        created_at=0.0,
        host="127.0.0.1",
        port=20002,
        draining_since=1.0,
    )


def part(
    *replicas: Replica,
    name: str = "qwen",
    created: str = "2026-01-01T00:00:00Z",
    served: tuple[str, ...] = (),
    reason: str = "",
) -> Part:
    conditions = (
        Condition(
            type=ConditionType.READY,
            status="False",
            reason=reason,
            message="Weights are being loaded.",
            last_transition_time="",
        ),
    )
    status = DeploymentStatus(conditions=conditions) if reason else None
    deployment = ModelDeployment(
        metadata=Metadata(name=name, creation_timestamp=created),
        spec=DeploymentSpec(model=Model(source="hf://a/b"), served_names=served),
        status=status,
    )
    return Part(deployment=deployment, replicas=replicas, routes=ROUTES)


def only(*parts: Part) -> ServedModel:
    (model,) = models(parts)
    return model


def test_a_ready_replica_is_an_endpoint() -> None:
    model = only(part(replica()))
    assert [(one.id, one.host, one.port, one.state) for one in model.endpoints] == [
        ("qwen-1:20001", "127.0.0.1", 20001, EndpointState.READY)
    ]
    assert (model.deployment, model.names, model.routes) == ("default/qwen", ("qwen",), ROUTES)
    assert model.waiting_reason == ""
    assert model.created == 1767225600


def test_one_that_loads_is_not_and_the_client_is_told_why() -> None:
    model = only(part(replica(ready=False, phase=Phase.LOADING), reason="Loading"))
    assert model.endpoints == ()
    assert (model.waiting_reason, model.waiting_message) == ("Loading", "Weights are being loaded.")


def test_clients_wait_for_what_comes_and_not_for_what_was_stopped() -> None:
    assert only(part(reason="Loading")).waiting_ends
    assert not only(part(reason="ScaledToZero")).waiting_ends
    assert not only(part(reason="NoCompatibleEngine")).waiting_ends


def test_one_that_drains_keeps_its_running_answers() -> None:
    model = only(part(draining("old"), replica("new")))
    assert {one.id: one.state for one in model.endpoints} == {
        "old:20002": EndpointState.DRAINING,
        "new:20001": EndpointState.READY,
    }


def test_one_that_stops_is_not_picked_any_more() -> None:
    stopping = replica(phase=Phase.STOPPING, ready=False)
    assert [one.state for one in only(part(stopping, reason="Draining")).endpoints] == [EndpointState.DRAINING]


def test_only_draining_ones_left_means_waiting() -> None:
    assert only(part(draining("old"), reason="Starting")).waiting_reason == "Starting"


def test_there_is_always_a_reason_while_nothing_answers() -> None:
    assert only(part()).waiting_reason
    assert only(part()).waiting_message


def test_a_deployment_without_any_name_of_its_own_is_not_served() -> None:
    old = part(name="old", served=("chat",), created="2026-01-01T00:00:00Z")
    new = part(name="new", served=("chat",), created="2026-01-02T00:00:00Z")
    assert only(new, old).deployment == "default/old"


def test_a_restart_on_another_port_is_another_endpoint() -> None:
    assert endpoint_id(replica(port=1)) != endpoint_id(replica(port=2))


def test_the_version_grows_only_when_something_differs() -> None:
    first = Snapshot(version=7, models=())
    assert following(first, ()) is first
    assert following(first, models([part(replica())])).version == 8


def publisher(home: Home) -> SnapshotPublisher:
    return SnapshotPublisher(home)


def test_versions_go_on_after_a_restart(tmp_path: Path) -> None:
    first = publisher(Home(tmp_path))
    assert first.publish([part(replica())])
    assert not first.publish([part(replica())])
    second = publisher(Home(tmp_path))
    assert second.current == first.current
    second.publish([])
    assert second.current.version > first.current.version


def test_an_unreadable_snapshot_is_set_aside_and_the_next_version_is_higher_still(tmp_path: Path) -> None:
    home = Home(tmp_path)
    first = publisher(home)
    first.publish([part(replica())])
    home.snapshot.write_bytes(b"{half")
    second = publisher(home)
    assert second.current.version > first.current.version
    assert decode(home.snapshot.read_bytes()) == second.current
    assert len(list(home.set_aside.iterdir())) == 1


def test_an_endpoint_counts_as_draining_from_the_version_that_says_so(tmp_path: Path) -> None:
    publish = publisher(Home(tmp_path))
    ready = replica("old", port=20002)
    publish.publish([part(ready)])
    before = publish.version_of("old:20002")
    publish.publish([part(draining("old"))])
    since = publish.version_of("old:20002")
    publish.publish([part(draining("old"), replica("new"))])
    assert since > before
    assert publish.version_of("old:20002") == since < publish.current.version


def test_an_endpoint_that_is_in_no_snapshot_counts_from_the_current_one(tmp_path: Path) -> None:
    publish = publisher(Home(tmp_path))
    publish.publish([part(replica("old", port=20002))])
    publish.publish([])
    assert publish.version_of("old:20002") == publish.current.version


def test_embeddings_are_routed_only_to_what_was_started_for_them() -> None:
    def answers(*tasks: str) -> set[str]:
        return set(routes(resolved_as("llamacpp", tasks)))

    always = {"/v1/chat/completions", "/v1/completions", "/v1/responses"}
    assert answers("generate", "chat") == always
    assert answers("chat", "embed") == {*always, "/v1/embeddings"}
    assert answers("rerank") == {*always, "/v1/rerank"}
    assert answers() == {*always, "/v1/embeddings", "/v1/rerank"}


def test_before_an_engine_is_chosen_every_route_says_what_is_being_waited_for() -> None:
    undecided = part().deployment
    assert {"/v1/chat/completions", "/v1/embeddings", "/v1/rerank"} <= set(routes(undecided))


def resolved_as(engine: str, tasks: tuple[str, ...]) -> ModelDeployment:
    estimate = MemoryEstimate(weights="", kv_cache="", compute="", overhead="", total="")
    resolved = Resolved(
        engine=ResolvedEngine(name=engine, version="1", variant="cpu"),
        model=ResolvedModel(revision="r", format="gguf", architecture="llama", tasks=tasks),
        resources=ResolvedResources(estimate=estimate),
        revision="r",
    )
    return part().deployment.model_copy(update={"status": DeploymentStatus(resolved=resolved)})
