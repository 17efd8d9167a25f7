"""The project's own kinds, as they are shipped."""

from pathlib import Path

import yaml

from cluster.api import Api

CRDS = Path(__file__).parents[2] / "crds"


def install(api: Api) -> None:
    """Served when it returns."""
    for path in sorted(CRDS.glob("*.yaml")):
        api.kubectl("apply", "--server-side", "-f", path)
        name = yaml.safe_load(path.read_text())["metadata"]["name"]
        api.kubectl("wait", "--for=condition=Established", f"crd/{name}", "--timeout=30s")
