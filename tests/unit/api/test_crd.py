"""The CRD is what the types say, in the form an API server takes."""

from pathlib import Path

import jsonschema
import pytest
import yaml

from inferry.api import crd, reference
from inferry.api.crd_rules import RULES
from inferry.api.load import load_files
from inferry.api.status import DeploymentStatus
from inferry.plan.plan import make_plan
from inferry.plan.types import PlanInput
from worlds.samples import a_decision, a_deployment, a_replica, an_inspection, observed

ROOT = Path(__file__).parents[3]
SCHEMA = crd.schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
EXAMPLES = sorted(path for path in (ROOT / "examples").glob("*.yaml"))

UNTYPED = ("x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields")


def nodes(node, path=""):
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}" if path else name)
    for inner in ("items", "additionalProperties"):
        if inner in node:
            yield from nodes(node[inner], f"{path}[]")


ALL = dict(nodes(SCHEMA))


def test_the_committed_crd_is_fresh():
    committed = (ROOT / "crds" / "modeldeployments.inferry.dev.yaml").read_text(encoding="utf-8")
    assert committed == crd.document(), "run: python -m inferry.api.crd > crds/modeldeployments.inferry.dev.yaml"


def test_the_committed_reference_is_fresh():
    committed = (ROOT / "docs" / "reference" / "modeldeployment.md").read_text(encoding="utf-8")
    assert committed == reference.document(), "run: python -m inferry.api.reference > docs/reference/modeldeployment.md"


@pytest.mark.parametrize("path", ALL)
def test_every_field_is_structural(path):
    node = ALL[path]
    assert any(key in node for key in ("type", *UNTYPED))
    assert not {"$ref", "anyOf", "oneOf", "allOf", "const", "title", "$defs"} & set(node)
    assert node.get("additionalProperties") is not False
    assert not ("properties" in node and "additionalProperties" in node)


@pytest.mark.parametrize("path", [path for path in ALL if path and not path.endswith("[]") and path != "metadata"])
def test_every_field_is_described(path):
    assert ALL[path].get("description")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.path}: {rule.message}")
def test_every_rule_says_what_to_do_about_fields_that_exist(rule):
    assert rule.message.endswith(".")
    assert {"rule": rule.expression, "message": rule.message} in ALL[rule.path]["x-kubernetes-validations"]


def test_texts_that_rules_look_at_have_a_bound():
    for path in ("spec.model.source", "spec.model.mirror", "spec.servedNames[]"):
        assert ALL[path]["maxLength"] <= 2048
    assert ALL["spec.servedNames"]["maxItems"] == 16


def test_defaults_are_filled_in_only_where_they_say_something():
    defaults = {path: node["default"] for path, node in ALL.items() if "default" in node}
    assert defaults == {
        "spec.model.integrity.policy": "Verify",
        "spec.model.integrity.allowUnsafeFormats": False,
        "spec.resources.accelerators[].count": 1,
        "spec.replicas": 1,
        "spec.suspend": False,
    }


def test_columns_and_subresources_lead_to_fields_that_exist():
    version = crd.crd()["spec"]["versions"][0]
    paths = [column["jsonPath"] for column in version["additionalPrinterColumns"]]
    assert [column["name"] for column in version["additionalPrinterColumns"] if not column.get("priority")] == [
        "Model",
        "Engine",
        "Ready",
        "Desired",
        "Status",
        "Age",
    ]
    scale = version["subresources"]["scale"]
    for path in (*paths, *scale.values()):
        plain = path.partition("[")[0].lstrip(".")
        assert plain in ALL or plain.startswith("metadata")
    assert version["subresources"]["status"] == {}


RIGHT = {
    "the least": {},
    "everything": {
        "model": {
            "name": "qwen2.5",
            "size": 7,
            "format": "gguf",
            "hub": "modelscope",
            "files": {"include": ["*.gguf"]},
            "integrity": {"policy": "Record"},
            "tasks": ["chat"],
        },
        "servedNames": ["a", "Qwen/b:c"],
        "engine": {"name": "llamacpp", "args": {"a": 1, "b": True, "c": "x", "d": 0.5}, "contextLength": 4096},
        "resources": {"accelerators": [{"vendor": "nvidia", "count": 2}], "requests": {"cpu": 4, "memory": "8Gi"}},
        "replicas": 0,
        "suspend": True,
    },
}


@pytest.mark.parametrize("spec", RIGHT.values(), ids=RIGHT.keys())
def test_what_the_types_take_the_schema_takes(spec):
    deployment = a_deployment(**spec)
    dumped = deployment.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"status"})
    VALIDATOR.validate(dumped)


WRONG = {
    "no model": {"replicas": 1},
    "fewer than none": {"model": {"source": "/m"}, "replicas": -1},
    "half a replica": {"model": {"source": "/m"}, "replicas": 0.5},
    "a format nobody has": {"model": {"source": "/m", "format": "ggu"}},
    "a policy nobody has": {"model": {"source": "/m", "integrity": {"policy": "verify"}}},
    "text for a list": {"model": {"source": "/m"}, "servedNames": "a"},
    "no room": {"model": {"source": "/m"}, "engine": {"contextLength": 0}},
    "a variable without a name": {"model": {"source": "/m"}, "engine": {"env": [{"value": "x"}]}},
}


@pytest.mark.parametrize("spec", WRONG.values(), ids=WRONG.keys())
def test_the_schema_refuses(spec):
    assert not VALIDATOR.is_valid({"metadata": {"name": "x"}, "spec": spec})


def test_a_status_as_it_is_written_fits_the_schema():
    plan = make_plan(
        PlanInput(
            deployment=a_deployment(),
            model=an_inspection(),
            decision=a_decision(),
            observed=observed(a_replica("a", "old", ready=False)),
            now=0.0,
        )
    )
    dumped = plan.status.model_dump(mode="json", by_alias=True, exclude_none=True)
    jsonschema.Draft202012Validator(ALL["status"]).validate(dumped)
    assert DeploymentStatus.model_validate(dumped) == plan.status


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_fit_the_schema_and_load(path):
    loaded = load_files(path)
    assert loaded.problems == ()
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
        VALIDATOR.validate(document)
