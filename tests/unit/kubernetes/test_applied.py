"""Whether an object still is what was applied."""

import json
from typing import Any

import pytest

from inferry.kubernetes.applied import Written, digest, marked
from inferry.kubernetes.views import owned_view

DOCUMENT: dict[str, Any] = {"metadata": {"name": "x", "annotations": {"inferry.dev/name": "qwen"}}, "spec": {"a": 1}}
OURS = {"manager": "inferry-operator", "operation": "Apply", "fieldsV1": {"f:spec": {"f:a": {}}}}
ROBBED = {**OURS, "fieldsV1": {}}
KUBECTL = {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {"f:a": {}}}}
LABELLED = {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:metadata": {"f:labels": {}}}}
STATUS = {**KUBECTL, "subresource": "status"}


def seen(*entries: dict[str, Any]) -> Any:
    document = json.loads(marked(DOCUMENT, digest(DOCUMENT)))
    document["metadata"] |= {"uid": "u", "namespace": "default", "managedFields": list(entries)}
    return owned_view(json.dumps(document).encode())


@pytest.mark.parametrize(
    ("entries", "stands"),
    [
        pytest.param((OURS,), True, id="nobody else wrote"),
        pytest.param((OURS, STATUS), True, id="a controller wrote its status"),
        pytest.param((OURS, LABELLED), True, id="somebody added a label"),
        pytest.param((ROBBED, KUBECTL), False, id="somebody changed a field"),
    ],
)
@pytest.mark.parametrize("remembered", [True, False], ids=["written by us", "found at the start"])
def test_what_others_wrote(entries: tuple[dict[str, Any], ...], stands: bool, remembered: bool) -> None:
    written = Written()
    if remembered:
        written.wrote(seen(OURS))
    assert written.stands(seen(*entries), digest(DOCUMENT)) is stands


def test_a_field_beside_ours_is_left_alone_once_we_have_written() -> None:
    written = Written()
    written.wrote(seen(OURS, KUBECTL))
    assert written.stands(seen(OURS, KUBECTL), digest(DOCUMENT))


def test_another_manifest_does_not_stand() -> None:
    assert not Written().stands(seen(OURS), digest({**DOCUMENT, "spec": {"a": 2}}))


def test_the_number_of_replicas_is_no_part_of_the_digest() -> None:
    sent = json.loads(marked(DOCUMENT, digest(DOCUMENT), 3))
    assert sent["spec"] == {"a": 1, "replicas": 3}
    assert sent["metadata"]["annotations"]["inferry.dev/applied"] == digest(DOCUMENT)
