"""Whose token goes where."""

import pytest

from inferry.control.sources import access
from inferry_runtime.model.credentials import shown_to

MACHINE = {"HF_TOKEN": "of the machine", "MODELSCOPE_API_TOKEN": "also", "LANG": "C"}
SECRET = {"HF_TOKEN": "of the deployment"}
MIRROR = "https://mirror.example"


@pytest.mark.parametrize(
    ("mirror", "secret", "token"),
    [
        pytest.param("", {}, "of the machine", id="the hub itself gets the machine's token"),
        pytest.param("", SECRET, "of the deployment", id="a secret wins"),
        pytest.param(MIRROR, {}, "", id="a mirror never gets the machine's token"),
        pytest.param(MIRROR, SECRET, "of the deployment", id="a mirror gets what its deployment gives it"),
    ],
)
def test_tokens_go_where_they_belong(mirror: str, secret: dict[str, str], token: str) -> None:
    assert access("hf://org/model", mirror, MACHINE, secret).token == token


def test_a_process_that_fetches_from_a_mirror_does_not_see_the_machines_tokens() -> None:
    assert shown_to(MIRROR, MACHINE) == {"LANG": "C"}
    assert shown_to("", MACHINE) == MACHINE
