"""What is said when a role is not installed."""

import pytest

from inferry.cli.extras import needs
from inferry.cli.refusal import Refusal


def test_a_role_that_is_installed_is_no_news() -> None:
    needs("kopf", extra="operator")


def test_one_that_is_not_says_what_to_install() -> None:
    with pytest.raises(Refusal) as refused:
        needs("a_package_that_nobody_has", extra="operator")
    assert "inferry[operator]" in refused.value.hint
