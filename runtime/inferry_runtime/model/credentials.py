"""By which names credentials are known: as variables of an environment, as the hubs' and clouds' own tools read them,
and as keys of a secret, which are the same."""

from collections.abc import Mapping

from inferry_runtime.model.listing import Access

ANY_TOKEN = "token"
"""Key of a secret that holds a token for whatever its deployment's source is."""

TOKENS = {
    "hf": "HF_TOKEN",
    "modelscope": "MODELSCOPE_API_TOKEN",
    # Web servers have no tool of their own whose name could be taken over.
    "https": "INFERRY_SOURCE_TOKEN",
    "http": "INFERRY_SOURCE_TOKEN",
}
"""Scheme of a source -> variable with its token."""

CLOUDS = {"s3": "AWS_", "gs": "GOOGLE_", "az": "AZURE_"}
"""Scheme of an object store -> how its variables begin."""


def access_to(source: str, mirror: str, environment: Mapping[str, str]) -> Access:
    """With the token of this environment. Object stores look into the process's own environment by themselves."""
    return Access(mirror=mirror, token=environment.get(TOKENS.get(_scheme(source), ""), ""))


def shown_to(mirror: str, environment: Mapping[str, str]) -> Mapping[str, str]:
    """This environment without its tokens where a deployment names a mirror: who may write deployments could otherwise
    have this machine's tokens sent anywhere."""
    hidden = set(TOKENS.values()) if mirror else set()
    return {name: value for name, value in environment.items() if name not in hidden}


def variables(source: str, secret: Mapping[str, str]) -> Mapping[str, str]:
    """The part of a secret that opens this source, as variables; nothing of it is for any other."""
    scheme = _scheme(source)
    if scheme in CLOUDS:
        return {name: value for name, value in secret.items() if name.startswith(CLOUDS[scheme])}
    variable = TOKENS.get(scheme, "")
    token = secret.get(variable) or secret.get(ANY_TOKEN)
    return {variable: token} if variable and token else {}


def expected_keys(source: str) -> str:
    """What a secret for this source has, for people; "" where nothing can be given."""
    scheme = _scheme(source)
    if scheme in CLOUDS:
        return f"{CLOUDS[scheme]}… keys"
    variable = TOKENS.get(scheme)
    return f"the key {variable} or {ANY_TOKEN}" if variable else ""


def _scheme(source: str) -> str:
    return source.partition("://")[0].lower() if "://" in source else ""
