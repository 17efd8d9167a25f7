"""Every bench, one after the other, as Markdown: `make bench`. Nothing here asserts; compare ratios within one run."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        environments = os.environ.get("INFERRY_TEST_CACHE", folder)
        kept = ("--environments", str(Path(environments) / "envs"))
        _run("The whole system, and the gateway against a real engine", "system.py", "--load", *kept)
        _run("The gateway against a fixed answer", "gateway.py")
        _run("One decision", "decide.py")
        _run("One look of the control loop", "reconcile.py")
        _run("Spinning engine threads", "spinning.py", *kept)
        _run("Estimated against measured memory", "memory.py", *kept)


def _run(title: str, script: str, *arguments: str) -> None:
    print(f"\n## {title}\n", flush=True)
    environment = {**os.environ, "PYTHONPATH": str(FOLDER.parent)}
    subprocess.run((sys.executable, str(FOLDER / script), *arguments), env=environment, check=True)


if __name__ == "__main__":
    main()
