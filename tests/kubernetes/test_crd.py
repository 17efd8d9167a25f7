"""Our kind as a real API server takes it: what is accepted, what is refused and how, and how it is shown."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.api import Api, KubectlError

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
CRD = yaml.safe_load((ROOT / "crds" / "modeldeployments.inferry.dev.yaml").read_text())
HF = {"source": "hf://org/repo"}
QUANTITY = "is not a quantity; write it like 500m, 4, 512Mi or 8Gi."

REFUSED: tuple[tuple[Mapping[str, Any], str], ...] = (
    ({"model": {}}, "Say where the model is: set source or name."),
    ({"model": {**HF, "name": "qwen"}}, "Both source and name are set; keep one of them."),
    ({"model": {**HF, "size": 7}}, "size is for models of the catalog; set name or remove it."),
    ({"model": {**HF, "hub": "hf"}}, "hub is for models of the catalog; set name or remove it."),
    (
        {"model": {"source": "./models/parrot"}},
        "Write it as hf://org/repo, modelscope://org/repo, https://host/file, s3://, gs:// or az://bucket/prefix,"
        " or file:///path.",
    ),
    ({"model": {**HF, "mirror": "hub.example"}}, "Write it like https://hub.example."),
    ({"model": HF, "servedNames": ["a", "b", "a"]}, "A name stands there twice."),
    (
        {"model": HF, "servedNames": ["two words"]},
        "Use letters, digits and . _ : / @ + -, and start with a letter or digit.",
    ),
    (
        {"model": HF, "engine": {"image": "registry.example/engine:1"}},
        "image needs name: nobody can see from an image which engine is in it.",
    ),
    ({"model": HF, "resources": {"requests": {"cpu": "many"}}}, f"cpu {QUANTITY}"),
    ({"model": HF, "resources": {"requests": {"memory": "8 GB"}}}, f"memory {QUANTITY}"),
    ({"model": HF, "resources": {"limits": {"cpu": "many"}}}, f"cpu {QUANTITY}"),
    ({"model": HF, "resources": {"limits": {"memory": "8 GB"}}}, f"memory {QUANTITY}"),
    (
        {"model": HF, "resources": {"requests": {"cpu": "4"}, "limits": {"cpu": 2}}},
        "requests.cpu is more than limits.cpu; raise the limit or lower the request.",
    ),
    (
        {"model": HF, "resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "1500Mi"}}},
        "requests.memory is more than limits.memory; raise the limit or lower the request.",
    ),
    # What the schema itself says.
    ({}, "spec.model: Required value"),
    ({"model": HF, "replicas": -1}, "should be greater than or equal to 0"),
    ({"model": {**HF, "format": "pickle"}}, 'supported values: "safetensors", "gguf"'),
    ({"model": HF, "replica": 2}, 'unknown field "spec.replica"'),
)


def deployment(name: str = "parrot", **spec: object) -> dict[str, Any]:
    return {
        "apiVersion": "inferry.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": name},
        "spec": spec,
    }


def path(namespace: str, name: str = "parrot") -> str:
    return f"/apis/inferry.dev/v1alpha1/namespaces/{namespace}/modeldeployments/{name}"


def rules(schema: object) -> Iterator[Mapping[str, str]]:
    """Every rule of a schema, however deep."""
    if isinstance(schema, list):
        for one in schema:
            yield from rules(one)
    if isinstance(schema, dict):
        yield from schema.get("x-kubernetes-validations", ())
        for one in schema.values():
            yield from rules(one)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_every_example_is_accepted(api: Api, namespace: str, file: Path):
    for document in yaml.safe_load_all(file.read_text()):
        model = document["spec"]["model"]
        # As the command line does: a path in a file is seen from where the file lies.
        if model["source"].startswith("./"):
            model["source"] = str((file.parent / model["source"]).resolve())
        answer = api.kubectl(
            "create", "--dry-run=server", "-n", namespace, "-f", "-", "-o", "name", stdin=yaml.safe_dump(document)
        )
        assert answer.strip() == f"modeldeployment.inferry.dev/{document['metadata']['name']}"


@pytest.mark.parametrize(("spec", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_a_wrong_object_is_refused_with_what_to_do(api: Api, namespace: str, spec: Mapping[str, Any], message: str):
    with pytest.raises(KubectlError) as refusal:
        api.kubectl("create", "-n", namespace, "-f", "-", stdin=json.dumps(deployment(**spec)))
    assert message in str(refusal.value)
    assert api.find(path(namespace)) is None


def test_every_rule_of_the_kind_has_been_broken_above():
    assert {rule["message"] for rule in rules(CRD)} <= {message for _, message in REFUSED}


def test_defaults_are_filled_in(api: Api, namespace: str):
    api.apply(deployment(model=HF), namespace=namespace)
    spec = api.get(path(namespace))["spec"]
    assert (spec["replicas"], spec["suspend"]) == (1, False)


def test_engine_arguments_of_any_type_are_kept_as_they_are(api: Api, namespace: str):
    args = {"n_parallel": 2, "flash_attn": True, "temperature": 0.5, "names": ["a", "b"], "nested": {"deep": None}}
    api.apply(deployment(model=HF, engine={"name": "llamacpp", "args": args}), namespace=namespace)
    assert api.get(path(namespace))["spec"]["engine"]["args"] == args


def test_kubectl_get_tells_the_story(api: Api, namespace: str):
    api.apply(deployment(model=HF, replicas=2), namespace=namespace)
    api.patch(f"{path(namespace)}/status", {"status": a_status(ready=1)})
    header, row = api.kubectl("get", "mdep", "-n", namespace).splitlines()
    assert header.split() == ["NAME", "MODEL", "ENGINE", "READY", "DESIRED", "STATUS", "AGE"]
    assert row.split()[:-1] == ["parrot", "hf://org/repo", "llamacpp", "1", "2", "Loading"]


def test_kubectl_get_wide_adds_what_it_runs_on_and_why_it_waits(api: Api, namespace: str):
    api.apply(deployment(model=HF), namespace=namespace)
    api.patch(f"{path(namespace)}/status", {"status": a_status(ready=0)})
    header, row = api.kubectl("get", "mdep", "-n", namespace, "-o", "wide").splitlines()
    assert header.split()[-4:] == ["ACCELERATOR", "FORMAT", "REVISION", "MESSAGE"]
    assert row.split()[-5:] == ["L4", "gguf", "r1", "Loading", "weights."]


def test_kubectl_get_all_shows_it_too(api: Api, namespace: str):
    api.apply(deployment(model=HF), namespace=namespace)
    assert "modeldeployment.inferry.dev/parrot" in api.kubectl("get", "all", "-n", namespace, "-o", "name")


def test_kubectl_scale_changes_replicas_and_reads_them_from_status(api: Api, namespace: str):
    api.apply(deployment(model=HF), namespace=namespace)
    api.patch(f"{path(namespace)}/status", {"status": a_status(ready=1)})
    api.kubectl("scale", "mdep/parrot", "--replicas=3", "-n", namespace)
    scale = api.get(f"{path(namespace)}/scale")
    assert api.get(path(namespace))["spec"]["replicas"] == 3
    assert scale["spec"] == {"replicas": 3}
    assert scale["status"] == {"replicas": 1, "selector": "inferry.dev/deployment=parrot"}


def test_the_status_is_written_apart_from_the_spec(api: Api, namespace: str):
    api.apply(deployment(model=HF), namespace=namespace)
    generation = api.get(path(namespace))["metadata"]["generation"]
    api.patch(path(namespace), {"status": a_status(ready=1)})
    assert "status" not in api.get(path(namespace))
    api.patch(f"{path(namespace)}/status", {"spec": {"replicas": 5}, "status": a_status(ready=1)})
    written = api.get(path(namespace))
    assert written["status"]["readyReplicas"] == 1
    assert (written["spec"]["replicas"], written["metadata"]["generation"]) == (1, generation)


def test_kubectl_explain_knows_every_field(api: Api):
    said = api.kubectl("explain", "mdep.spec.model.source")
    assert "hf://org/repo" in said


def test_a_stranger_may_read_nothing_without_a_role(api: Api, namespace: str):
    stranger = api.kubeconfig_for("stranger")
    with pytest.raises(KubectlError, match='User "stranger" cannot list resource "modeldeployments"'):
        api.kubectl("get", "mdep", "-n", namespace, kubeconfig=stranger)


def a_status(ready: int) -> dict[str, Any]:
    estimate = dict.fromkeys(("weights", "kvCache", "compute", "overhead", "total"), "1Gi")
    condition = {"type": "Ready", "status": "False", "reason": "Loading", "message": "Loading weights."}
    return {
        "replicas": 1,
        "readyReplicas": ready,
        "selector": "inferry.dev/deployment=parrot",
        "conditions": [{**condition, "lastTransitionTime": "2026-01-01T00:00:00Z"}],
        "resolved": {
            "engine": {"name": "llamacpp", "version": "1"},
            "model": {"revision": "c0ffee", "format": "gguf", "architecture": "llama"},
            "resources": {"accelerator": "L4", "estimate": estimate},
            "revision": "r1",
        },
    }
