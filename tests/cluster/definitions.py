"""Kinds that a cluster learns: the project's own, as they are shipped, and others that tests need."""

from pathlib import Path

import yaml

from cluster.api import Api, Json

CRDS = Path(__file__).parents[2] / "crds"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
# What kubectl asks for to learn of all kinds at once.
DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def install(api: Api) -> None:
    """The project's own."""
    for path in sorted(CRDS.glob("*.yaml")):
        define(api, yaml.safe_load(path.read_text()))


def define(api: Api, definition: Json) -> None:
    """Served when this returns, and known to all who ask what there is.

    Not with kubectl: it would remember for minutes what there was before.
    """
    api.create_or_replace(f"{DEFINITIONS}/{definition['metadata']['name']}", definition)
    group, versions = definition["spec"]["group"], [one["name"] for one in definition["spec"]["versions"]]
    api.until(lambda: all(_is_known(api, group, version) for version in versions), lambda: f"{group} is not served")


def _is_known(api: Api, group: str, version: str) -> bool:
    """Each of these is brought up to date on its own, up to a second after the kind is served."""
    groups = api.request("GET", "/apis", accept=DISCOVERY)["items"]
    listed = {(one["metadata"]["name"], each["version"]) for one in groups for each in one["versions"]}
    documented = api.get("/openapi/v3")["paths"]
    served = api.find(f"/apis/{group}/{version}") is not None
    return served and (group, version) in listed and f"apis/{group}/{version}" in documented
