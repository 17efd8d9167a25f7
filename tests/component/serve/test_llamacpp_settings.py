"""Settings of llama.cpp as the installed xllamacpp takes them: by name, by type, and not by luck."""

import json
import subprocess
from pathlib import Path

import pytest

from inferry_runtime.engines import registry

SERVER = Path(registry.__file__).with_name("llamacpp_server.py")

WRONG = {
    "a misspelled name": ({"n_ctxx": 1}, 'unknown setting "n_ctxx", did you mean "n_ctx"?'),
    "a misspelled nested name": (
        {"sampling.topk": 1},
        'unknown setting "sampling.topk", did you mean "sampling.top_k"?',
    ),
    "a name in no group": ({"foo.bar": 1}, 'unknown setting "foo.bar"'),
    "a group": ({"sampling": 1}, 'unknown setting "sampling"'),
    "a method": ({"sampling.print": 1}, 'unknown setting "sampling.print"'),
    "a private name": ({"__class__": "x"}, 'unknown setting "__class__"'),
    "text for a number": ({"n_ctx": "5"}, 'setting "n_ctx" cannot be "5": expected int, got str'),
    "a fraction for a whole number": ({"n_ctx": 5.5}, 'setting "n_ctx" cannot be 5.5: expected int, got float'),
    "true for a number": ({"n_ctx": True}, 'setting "n_ctx" cannot be true: expected int, got bool'),
    "a number for a switch": ({"use_jinja": 1}, 'setting "use_jinja" cannot be 1: expected bool, got int'),
    "true for a fraction": ({"rope_freq_base": True}, 'setting "rope_freq_base" cannot be true'),
    "a number beyond 32 bits": ({"n_ctx": 2**40}, 'setting "n_ctx" cannot be 1099511627776'),
    "no member of a choice": ({"cache_type_k": "q8"}, 'setting "cache_type_k" cannot be "q8": expected one of '),
    "a number for a choice": ({"cache_type_k": 8}, 'setting "cache_type_k" cannot be 8: expected one of '),
    "what the place decides": ({"port": 1}, 'setting "port" is decided by --port'),
    "what the model decides": ({"model.path": "/etc/passwd"}, 'setting "model.path" is decided by --model'),
    "what the drain needs": ({"endpoint_metrics": False}, 'setting "endpoint_metrics" must stay true'),
}

RIGHT = {
    "short and long names of choices": {
        "cache_type_k": "f16",
        "cache_type_v": "GGML_TYPE_F16",
        "flash_attn_type": "AUTO",
    },
    "a whole number for a fraction": {"rope_freq_base": 10000},
    "nested names": {"sampling.top_k": 1, "cpuparams.n_threads": 1, "speculative.draft.n_max": 4},
    "a list as text": {"tensor_split": "1,2", "antiprompt": "a,b"},
    "switches": {"use_jinja": True, "warmup": False},
}


def run(python: Path, arguments: object, *raw: str) -> "subprocess.CompletedProcess[str]":
    """Ends before a server is up: there is no model."""
    argv = [python, SERVER, "--model", "/nowhere.gguf", "--host", "127.0.0.1", "--port", "9", "--arguments"]
    return subprocess.run([*argv, json.dumps(arguments), *raw], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("arguments", "told"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_setting_ends_it_with_one_line(llamacpp_python: Path, arguments: object, told: str) -> None:
    ended = run(llamacpp_python, arguments)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"llamacpp_server: error: {told}")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", RIGHT.values(), ids=RIGHT.keys())
def test_a_right_setting_is_not_what_ends_it(llamacpp_python: Path, arguments: object) -> None:
    assert run(llamacpp_python, arguments).returncode == 1


def test_raw_settings_win_and_are_checked_alike(llamacpp_python: Path) -> None:
    assert run(llamacpp_python, {"n_ctx": 512}, "n_ctx=1024", "chat_template=chatml").returncode == 1
    ended = run(llamacpp_python, {}, "n_ctx=large")
    assert (ended.returncode, "expected int, got str" in ended.stderr) == (2, True)
    ended = run(llamacpp_python, {}, "n_ctx")
    assert (ended.returncode, 'setting "n_ctx" has no value' in ended.stderr) == (2, True)
