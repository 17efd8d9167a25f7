"""`python -m inferry.kubernetes`. Status 0: asked to stop. 1: lost the lease, or cannot start."""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from inferry.catalog.load import CatalogFileError
from inferry.kubernetes import credentials
from inferry.kubernetes.credentials import CredentialsError
from inferry.kubernetes.errors import LeaseLost
from inferry.kubernetes.operator import WORKERS, OperatorOptions, run_operator
from inferry.kubernetes.pods import PodChoices
from inferry.kubernetes.world import WorldChoices
from inferry_runtime.serve.logs import write_json_lines

log = logging.getLogger(__name__)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    defaults = PodChoices()
    parser = argparse.ArgumentParser(prog="inferry operator", allow_abbrev=False, description="Run the operator.")
    parser.add_argument("--kubeconfig", type=Path, help="how to reach the cluster; without it, as the pod it runs in")
    parser.add_argument("--namespace", default="", help="look after this namespace only")
    parser.add_argument(
        "--installed-in", default="inferry", help="namespace of the gateway, the operator and its lease"
    )
    parser.add_argument("--lease", default="inferry-operator", help="name of the lease that says who writes")
    parser.add_argument("--health-host", default="0.0.0.0", help="address of /healthz, /readyz and /metrics")
    parser.add_argument("--health-port", type=int, default=8080)
    parser.add_argument("--workers", type=int, default=WORKERS, help="deployments looked at at the same time")
    parser.add_argument("--image", default=defaults.image, help="pattern of engine images the catalog does not name")
    parser.add_argument("--image-pull-policy", default=defaults.image_pull_policy)
    parser.add_argument("--image-pull-secret", action="append", default=[], help="may be repeated")
    parser.add_argument("--engine-python", default=defaults.python, help="interpreter of the engine in its image")
    parser.add_argument("--catalog", type=Path, action="append", default=[], help="file or folder; may be repeated")
    parser.add_argument("--local-sources", action="store_true", help="let models be paths")
    parser.add_argument("--no-progress", action="store_true", help="do not ask replicas how far they are")
    return parser.parse_args(arguments)


def options_of(parsed: argparse.Namespace) -> OperatorOptions:
    """Raises CredentialsError."""
    pods = PodChoices(
        image=parsed.image,
        image_pull_policy=parsed.image_pull_policy,
        image_pull_secrets=tuple(parsed.image_pull_secret),
        python=parsed.engine_python,
    )
    return OperatorOptions(
        credentials=credentials.find(parsed.kubeconfig, os.environ),
        namespace=parsed.namespace,
        lease_namespace=parsed.installed_in,
        lease_name=parsed.lease,
        health_host=parsed.health_host,
        health_port=parsed.health_port,
        workers=parsed.workers,
        world=WorldChoices(pods=pods, installed_in=parsed.installed_in, local_sources=parsed.local_sources),
        catalog_overrides=tuple(parsed.catalog),
        read_progress=not parsed.no_progress,
    )


def main(arguments: Sequence[str]) -> int:
    parsed = parse(arguments)
    write_json_lines()
    status = 0
    try:
        asyncio.run(run_operator(options_of(parsed)))
    except* (CredentialsError, CatalogFileError, OSError, LeaseLost) as errors:
        status = 1
        for error in leaves(errors):
            log.error("operator ends", extra={"error": str(error)})
    return status


def leaves(group: BaseExceptionGroup[Exception]) -> Iterator[BaseException]:
    """What was raised, without the groups it came through."""
    for error in group.exceptions:
        yield from leaves(error) if isinstance(error, BaseExceptionGroup) else (error,)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
