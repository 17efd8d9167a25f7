"""What uv 0.13 really writes, and what a person is told."""

import pytest

from inferry.local.environment_errors import (
    EnvironmentDiskFull,
    EnvironmentFailed,
    IndexIncomplete,
    IndexUnreachable,
)
from inferry.local.environment_uv import Downloads, error_of, uv_environment
from inferry.plan.types import Progress

MIB = 1024 * 1024

INSTALL = """\
Using Python 3.11.7 environment at: t1
Resolved 10 packages in 154ms
Downloading pydantic-core (2.0MiB)
Downloading numpy (16.0MiB)
 Downloaded pydantic-core
 Downloaded numpy
Prepared 10 packages in 643ms
Installed 10 packages in 22ms
 + annotated-types==0.8.0
"""

UNREACHABLE = """\
Using Python 3.11.7 environment at: t1
error: Failed to fetch: http://127.0.0.1:9/simple/xllamacpp/
  cause: error sending request for url (http://127.0.0.1:9/simple/xllamacpp/)
  cause: client error (Connect)
  cause: tcp connect error
  cause: Connection refused (os error 111)
"""

NO_DNS = """\
error: Failed to fetch: https://index.invalid/simple/xllamacpp/
  cause: error resolving DNS
  cause: failed to lookup address information: Name or service not known
  cause: client error (Connect)
"""

OTHER_BYTES = """\
  x Failed to download xllamacpp==2026.10.11549
  `-> Hash mismatch for `xllamacpp==2026.10.11549`
"""

ABSENT = """\
error: No solution found when resolving dependencies:
  cause: Because xllamacpp was not found in the package registry, your requirements are unsatisfiable.
"""

FULL = """\
error: Failed to install: xllamacpp-2026.10.11549-cp311-abi3-linux.whl (xllamacpp==2026.10.11549)
  cause: failed to copy file: No space left on device (os error 28)
"""


def test_bytes_of_large_packages_become_progress() -> None:
    told: list[Progress] = []
    downloads = Downloads(told.append)
    for line in INSTALL.splitlines():
        downloads.line(line)
    assert told == [
        Progress(message="downloading pydantic-core", done=0, total=2 * MIB),
        Progress(message="downloading numpy", done=0, total=18 * MIB),
        Progress(message="downloading numpy", done=2 * MIB, total=18 * MIB),
        Progress(message="unpacking", done=18 * MIB, total=18 * MIB),
        Progress(message="installing 10 packages"),
    ]


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        (UNREACHABLE, IndexUnreachable),
        (NO_DNS, IndexUnreachable),
        (OTHER_BYTES, IndexIncomplete),
        (ABSENT, IndexIncomplete),
        (FULL, EnvironmentDiskFull),
        ("error: something new\n", EnvironmentFailed),
        ("", EnvironmentFailed),
    ],
    ids=["refused", "no name server", "other bytes", "not there", "disk full", "unknown", "silent"],
)
def test_what_uv_complains_about_has_a_type_and_a_hint(written: str, kind: type[EnvironmentFailed]) -> None:
    error = error_of(written.splitlines(), 2)
    assert type(error) is kind
    assert error.message
    assert error.hint


def test_the_message_starts_where_the_complaint_does() -> None:
    assert error_of(UNREACHABLE.splitlines(), 2).message.startswith("error: Failed to fetch: http://127.0.0.1:9/")


def test_uv_keeps_the_users_index_and_forgets_where_the_user_stands() -> None:
    given = {"UV_DEFAULT_INDEX": "https://mirror", "VIRTUAL_ENV": "/theirs", "PYTHONPATH": "/theirs", "HOME": "/home/u"}
    seen = uv_environment(given)
    assert seen["UV_DEFAULT_INDEX"] == "https://mirror"
    assert seen["HOME"] == "/home/u"
    assert not seen.keys() & {"VIRTUAL_ENV", "PYTHONPATH"}
    assert seen["UV_PYTHON_DOWNLOADS"] == "never"


@pytest.mark.parametrize(
    ("given", "index"),
    [
        ({"PIP_INDEX_URL": "https://pip"}, "https://pip"),
        ({"PIP_INDEX_URL": "https://pip", "UV_DEFAULT_INDEX": "https://uv"}, "https://uv"),
        ({"PIP_INDEX_URL": "https://pip", "UV_INDEX_URL": "https://uv"}, None),
    ],
)
def test_an_index_set_for_pip_is_used_unless_uv_has_its_own(given: dict[str, str], index: str | None) -> None:
    assert uv_environment(given).get("UV_DEFAULT_INDEX") == index
