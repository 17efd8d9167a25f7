"""Roles that are not installed with the command line."""

from importlib.util import find_spec

from inferry.cli.refusal import Refusal


def needs(package: str, *, extra: str) -> None:
    """Raises Refusal saying what to install when the package of a role is not there."""
    if find_spec(package) is None:
        raise Refusal(f"the {extra} is not installed here", hint=f"pip install 'inferry[{extra}]'")
