"""The command line as a person uses it: real processes, a real engine, what is printed and what is left."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from support.local_machine import PARROT, LocalMachine, book, free_port, machine, until

EXAMPLES = PARROT.parents[1]
QUESTION, ANSWER = next(iter(book().items()))


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


async def inferry(home: Path, *words: str, given: str = "") -> Said:
    """Run one verb against a home."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "inferry.cli", *words),
        env={**os.environ, "INFERRY_HOME": str(home), "COLUMNS": "200"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(given.encode())
    assert process.returncode is not None
    return Said(process.returncode, out.decode(), err.decode())


@pytest.fixture(scope="session")
def environments(llamacpp_python: Path) -> Path:
    return llamacpp_python.parents[2]


@pytest.fixture
async def local(tmp_path: Path, environments: Path) -> AsyncIterator[LocalMachine]:
    async with machine(tmp_path, environments) as running:
        yield running


async def test_a_model_is_applied_asked_scaled_and_terminated(local: LocalMachine) -> None:
    home = local.home.root
    applied = await inferry(home, "apply", "-f", str(EXAMPLES / "parrot.yaml"), "--wait")
    assert (applied.code, applied.out) == (0, "modeldeployment/parrot created\n")
    assert (await inferry(home, "chat", "parrot", QUESTION, "--temperature", "0")).out == f"{ANSWER}\n"
    assert (await inferry(home, "chat", "parrot", given=f"{QUESTION}\n")).out == f"{ANSWER}\n"
    assert (await inferry(home, "generate", "parrot", "Hello", "--max-tokens", "4")).out.strip()

    (listed,) = json.loads((await inferry(home, "list", "-o", "json")).out)
    assert listed["status"]["readyReplicas"] == 1
    assert list(listed) == ["apiVersion", "kind", "metadata", "spec", "status"]
    assert (await inferry(home, "list")).out.splitlines()[1].split()[2:5] == ["llamacpp", "1/1", "Ready"]
    described = (await inferry(home, "describe", "parrot")).out
    assert all(word in described for word in ("llamacpp", "FormatNotSupported", "KV cache", "Available"))
    assert (await inferry(home, "logs", "parrot")).out

    scaled = await inferry(home, "scale", "parrot", "--replicas", "2", "--wait")
    assert scaled.code == 0
    assert len(local.replicas("parrot")) == 2

    nothing = await inferry(home, "scale", "parrot", "--replicas", "0", "--wait")
    assert (nothing.code, local.replicas("parrot")) == (0, ())
    assert (await inferry(home, "scale", "parrot", "--replicas", "1", "--wait")).code == 0

    (cached,) = yaml.safe_load((await inferry(home, "cached", "-o", "yaml")).out)
    in_use = await inferry(home, "remove-cache", cached["source"])
    assert (in_use.code, "in use" in in_use.err) == (1, True)
    assert (await inferry(home, "terminate", "parrot")).out == "modeldeployment/parrot deleted\n"
    assert not local.replicas("parrot")
    for words in ((), ("--max-size", "much")):
        assert (await inferry(home, "remove-cache", *words)).code == 2
    assert "freed 0 B" in (await inferry(home, "remove-cache", "--unused-days", "1", "--max-size", "1Gi")).out
    assert f"removed {cached['source']}" in (await inferry(home, "remove-cache", "--unused-days", "0")).out
    assert (await inferry(home, "cached", "-o", "json")).out == "[]\n"


async def test_launch_without_yaml_writes_the_object_a_person_would(local: LocalMachine) -> None:
    home = local.home.root
    words = ("launch", str(PARROT / "gguf"), "--arg", "n_ctx=1024", "--served-name", "acme/parrot:latest")
    assert (await inferry(home, *words)).code == 0
    written = yaml.safe_load(local.home.deployment("parrot").read_text())
    assert written["spec"]["engine"] == {"args": {"n_ctx": 1024}}
    assert written["spec"]["servedNames"] == ["acme/parrot:latest"]
    assert (await inferry(home, "chat", "parrot", QUESTION)).out == f"{ANSWER}\n"
    assert (await inferry(home, "chat", "acme/parrot:latest", QUESTION)).out == f"{ANSWER}\n"


async def test_a_made_name_never_takes_the_place_of_another_model(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert (await inferry(home, "launch", "hf://one/model-x", "--no-wait")).code == 0
    before = (home / "deployments" / "model-x.yaml").read_bytes()
    refused = await inferry(home, "launch", "hf://two/model-x", "--no-wait")
    assert (refused.code, "hf://one/model-x" in refused.err, "--name" in refused.err) == (2, True, True)
    assert (home / "deployments" / "model-x.yaml").read_bytes() == before
    assert (await inferry(home, "launch", "hf://one/model-x", "--replicas", "2", "--no-wait")).code == 0
    assert (await inferry(home, "launch", "hf://two/model-x", "--name", "model-x", "--no-wait")).code == 0


@pytest.mark.parametrize("port", ["0", "65536", "many"])
async def test_a_port_nobody_can_listen_on_is_wrong_input(port: str, tmp_path: Path) -> None:
    refused = await inferry(tmp_path / "home", "local", "--port", port)
    assert (refused.code, "--port" in refused.err, "Traceback" in refused.err) == (2, True, False)


async def test_status_and_stop(local: LocalMachine) -> None:
    home = local.home.root
    assert (await inferry(home, "apply", "-f", str(EXAMPLES / "parrot.yaml"), "--wait")).code == 0
    said = json.loads((await inferry(home, "status", "-o", "json")).out)
    assert (said["running"], said["pid"], said["address"]) == (True, local.owner_pid, f"{local.url}/v1")
    second = await inferry(home, "local", "--port", str(free_port()))
    assert (second.code, str(local.owner_pid) in second.err) == (1, True)
    assert (await inferry(home, "stop")).code == 0
    assert json.loads((await inferry(home, "status", "-o", "json")).out)["running"] is False
    listed = await inferry(home, "list")
    assert listed.out.splitlines()[1].split()[2:5] == ["llamacpp", "0/1", "NotRunning"]
    assert "inferry local" in listed.err
    assert "NotRunning" in (await inferry(home, "describe", "parrot")).out
    assert (await inferry(home, "stop")).code == 1


async def test_waiting_for_what_can_never_be_ready_ends_at_once(local: LocalMachine, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    launched = await inferry(local.home.root, "launch", str(tmp_path / "empty"), "--name", "nothing")
    assert launched.code == 1
    assert "nothing: ModelNotFound" in launched.err
    assert "hint:" in launched.err


async def test_local_with_a_question_answers_and_stops_cleanly(tmp_path: Path, environments: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "envs").symlink_to(environments)
    words = ("--file", str(EXAMPLES / "parrot.yaml"), "--ask", QUESTION, "--port", str(free_port()))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "inferry.cli", "local", *words),
        env={**os.environ, "INFERRY_HOME": str(home), "CI": "true"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    printed = ""
    async with asyncio.timeout(60):
        while "serving at" not in printed:
            line = (await process.stdout.readline()).decode()
            assert line, printed
            printed += line
    process.terminate()
    await process.communicate()
    assert process.returncode == 0
    assert f"parrot -> {ANSWER}" in printed
    assert "Accepted" in printed


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("spec: {modle: {source: /x}}", ("modle", "model"), id="a mistyped field"),
        pytest.param("spec: {model: {source: /x, name: y}}", ("source", "name"), id="source and name"),
        pytest.param("spec: {model: {source: 'hff://a/b'}}", ("hff", "hf"), id="an unknown scheme"),
        pytest.param("spec: {model: {source: /x}, replicas: many}", ("replicas", "many"), id="a word for a number"),
    ],
)
async def test_wrong_yaml_is_refused_whole_with_its_place(text: str, told: tuple[str, ...], tmp_path: Path) -> None:
    home, right = tmp_path / "home", (EXAMPLES / "parrot.yaml").read_text()
    wrong = f"apiVersion: inferry.dev/v1alpha1\nkind: ModelDeployment\nmetadata: {{name: wrong}}\n{text}\n"
    said = await inferry(home, "apply", "-f", "-", given=f"{right}\n---\n{wrong}")
    assert said.code == 2
    assert all(word in said.err for word in (*told, "standard input:"))
    assert not (home / "deployments").exists()


async def test_plan_shows_what_would_happen_and_starts_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (planned,) = json.loads((await inferry(home, "plan", "-f", str(EXAMPLES / "parrot.yaml"), "-o", "json")).out)
    assert planned["decision"]["engine"] == "llamacpp"
    assert {verdict["engine"] for verdict in planned["verdicts"]} >= {"vllm", "sglang", "transformers", "mlx"}
    assert planned["memory"]["total_bytes"] > planned["memory"]["weights_bytes"] > 0
    assert "llamacpp_server.py" in " ".join(planned["command"]["argv"])
    assert "Memory:" in (await inferry(home, "plan", "-f", str(EXAMPLES / "parrot.yaml"))).out
    assert not home.exists()


async def test_plan_for_other_nodes_than_this_machine(tmp_path: Path) -> None:
    nodes = tmp_path / "nodes.yaml"
    gpu = {
        "vendor": "nvidia",
        "product": "NVIDIA L4",
        "count": 1,
        "memory_bytes": 24 << 30,
        "compute_capability": "8.9",
    }
    node = {"name": "gpu-1", "system": "linux", "machine": "x86_64", "cpus": 8, "memory_bytes": 64 << 30}
    nodes.write_text(yaml.safe_dump({"nodes": [{**node, "accelerators": [gpu]}]}))
    words = ("plan", "-f", str(EXAMPLES / "parrot.yaml"), "--inventory", str(nodes), "-o", "yaml")
    (planned,) = yaml.safe_load((await inferry(tmp_path / "home", *words)).out)
    assert planned["decision"]["placement"]["node"] == "gpu-1"
    nodes.write_text("nodes: [{name: gpu-1}]")
    refused = await inferry(tmp_path / "home", *words)
    assert (refused.code, "system" in refused.err) == (2, True)


async def test_run_starts_inferry_in_the_background_and_answers(tmp_path: Path, environments: Path) -> None:
    home, port = tmp_path / "home", free_port()
    home.mkdir()
    (home / "envs").symlink_to(environments)
    said = await inferry(home, "run", str(PARROT / "gguf"), QUESTION, "--port", str(port))
    try:
        assert (said.code, said.out) == (0, f"{ANSWER}\n"), said.err
        assert json.loads((await inferry(home, "status", "-o", "json")).out)["address"].endswith(f":{port}/v1")
    finally:
        await inferry(home, "stop")
    await until(lambda: not (home / "replicas").exists() or not list((home / "replicas").iterdir()))


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(("launch", "hf://acme/x", "--no-wait"), id="an object cannot be written"),
        pytest.param(("local", "--port", "1"), id="nothing can be started"),
    ],
)
async def test_a_home_nobody_can_write_to_gets_a_sentence(words: tuple[str, ...], tmp_path: Path) -> None:
    home = tmp_path / "file"
    home.write_text("")
    said = await inferry(home, *words)
    assert (said.code, str(home) in said.err, "INFERRY_HOME" in said.err) == (1, True, True)
    assert "Traceback" not in said.err


async def test_a_home_may_be_named_from_where_one_stands(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "inferry.cli", "status", "-o", "json"),
        cwd=tmp_path,
        env={**os.environ, "INFERRY_HOME": "beside"},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert json.loads(out)["home"] == str(tmp_path / "beside")
