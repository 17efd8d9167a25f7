"""What a cluster is made of: `components.json` names the programs, `go/FAMILY/go.mod` pins what they are built from."""

import hashlib
import json
import platform
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
# Servers that do not know their version report v0.0.0, and clients' version checks misbehave.
VERSION_VARIABLES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "kubernetes": (
        ("k8s.io/component-base/version.gitVersion", "v{major}.{minor}.{patch}"),
        ("k8s.io/component-base/version.gitMajor", "{major}"),
        ("k8s.io/component-base/version.gitMinor", "{minor}"),
    ),
    "helm": (
        ("helm.sh/helm/v3/internal/version.version", "v{major}.{minor}.{patch}"),
        # What `helm template` takes the cluster for when it sees none: by default the oldest.
        ("helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor", "1"),
        ("helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor", "36"),
    ),
}


@dataclass(frozen=True, kw_only=True)
class Component:
    name: str
    """Of the program, as it is called in the folder of programs."""
    family: str
    package: str
    version: str

    @property
    def module_folder(self) -> Path:
        return HERE / "go" / self.family

    @property
    def folder_name(self) -> str:
        """Changes exactly when another program would come out; the same for a whole family."""
        digest = hashlib.sha256(f"{sys.platform} {platform.machine()} {self.linker_flags()}".encode())
        for path in sorted(self.module_folder.glob("go.*")):
            digest.update(path.read_bytes())
        return f"{self.family}-{self.version}-{digest.hexdigest()[:8]}"

    def linker_flags(self) -> str:
        """No symbol tables (a third of the size), and the version where the program looks for it."""
        major, minor, patch = self.version.removeprefix("v").split(".")
        variables = VERSION_VARIABLES.get(self.family, ())
        filled = (f"-X {name}={form.format(major=major, minor=minor, patch=patch)}" for name, form in variables)
        return " ".join(("-s", "-w", *filled))


def components() -> tuple[Component, ...]:
    """In the order they are built: what takes longest to start from is shared by those after it."""
    described = json.loads((HERE / "components.json").read_text())
    return tuple(
        Component(
            name=name, family=one["family"], package=one["package"], version=_pinned(one["family"], one["package"])
        )
        for name, one in described.items()
    )


def go_version() -> tuple[int, ...]:
    """The least Go that builds all of them."""
    return max(tuple(map(int, line.split("."))) for line in _directives(r"^go (\d+\.\d+(?:\.\d+)?)$"))


def _directives(pattern: str) -> list[str]:
    files = (path.read_text() for path in HERE.glob("go/*/go.mod"))
    return [found for text in files for found in re.findall(pattern, text, re.MULTILINE)]


def _pinned(family: str, package: str) -> str:
    text = (HERE / "go" / family / "go.mod").read_text()
    pins: dict[str, str] = dict(re.findall(r"^\t(\S+) (v\S+)(?: // indirect)?$", text, re.MULTILINE))
    module = max((name for name in pins if package == name or package.startswith(f"{name}/")), key=len)
    return pins[module]
