"""Secrets as files: what opens which source, and that nothing of them is ever quoted."""

import logging
from pathlib import Path

import pytest

from inferry.local.home import Home
from inferry.local.secret_files import SecretFiles, UnusableSecret

TOKEN = "hf_very_secret"
HF = "hf://birds/parrot"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.secrets.mkdir()
    return home


def write(home: Home, text: str, name: str = "hub") -> Path:
    path = home.secret(name)
    path.write_text(text)
    path.chmod(0o600)
    return path


def secret(values: str, name: str = "hub", kind: str = "Secret") -> str:
    return f"apiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}}}\ntype: Opaque\n{values}\n"


FOUND = {
    "a token by its variable": (f"stringData: {{HF_TOKEN: {TOKEN}}}", HF, {"HF_TOKEN": TOKEN}),
    "a token for whatever it is": (f"stringData: {{token: {TOKEN}}}", HF, {"HF_TOKEN": TOKEN}),
    "its own variable wins": (f"stringData: {{token: other, HF_TOKEN: {TOKEN}}}", HF, {"HF_TOKEN": TOKEN}),
    "base64, as a cluster shows it": ("data: {token: aGZfdmVyeV9zZWNyZXQ=}", HF, {"HF_TOKEN": TOKEN}),
    "base64 of a line, as echo makes it": ("data: {token: aGZfdmVyeV9zZWNyZXQK}", HF, {"HF_TOKEN": TOKEN}),
    "stringData wins over data, as in a cluster": (
        f"data: {{token: b3RoZXI=}}\nstringData: {{token: {TOKEN}}}",
        HF,
        {"HF_TOKEN": TOKEN},
    ),
    "modelscope": (
        "stringData: {MODELSCOPE_API_TOKEN: ms, HF_TOKEN: hf}",
        "modelscope://a/b",
        {"MODELSCOPE_API_TOKEN": "ms"},
    ),
    "a web server": ("stringData: {token: t}", "https://h/m.gguf", {"INFERRY_SOURCE_TOKEN": "t"}),
    "all keys of the cloud, and of no other": (
        "stringData: {AWS_ACCESS_KEY_ID: a, AWS_SECRET_ACCESS_KEY: s, GOOGLE_X: g, token: t}",
        "s3://bucket/m",
        {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s"},
    ),
    "a path needs none": ("stringData: {token: t}", "/models/parrot", {}),
    "not even a file: path": ("not a secret", "file:///models/parrot", {}),
}


@pytest.mark.parametrize(("values", "source", "expected"), FOUND.values(), ids=list(FOUND))
def test_a_secret_gives_the_variables_that_open_the_source(
    home: Home, values: str, source: str, expected: dict[str, str]
) -> None:
    write(home, secret(values))
    assert SecretFiles(home).variables("hub", source) == expected


USELESS = {
    "not YAML": f"stringData: {{token: {TOKEN}",
    "a tag YAML does not know": f"!{TOKEN} x",
    "no object": TOKEN,
    "another kind": secret(f"stringData: {{token: {TOKEN}}}", kind=TOKEN),
    "a number where text belongs": secret("stringData: {token: 12345678}"),
    "not base64": secret(f"data: {{token: {TOKEN}}}"),
    "base64 of no text": secret("data: {token: /w==}"),
    "another secret's object": secret(f"stringData: {{token: {TOKEN}}}", name="other"),
    "nothing for this source": secret(f"stringData: {{MODELSCOPE_API_TOKEN: {TOKEN}}}"),
    "an empty token": secret("stringData: {token: ''}"),
    "no bytes of text": "\udcff",
}


@pytest.mark.parametrize("text", USELESS.values(), ids=list(USELESS))
def test_a_useless_secret_says_which_file_to_correct_and_quotes_nothing(home: Home, text: str) -> None:
    path = home.secret("hub")
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UnusableSecret) as refused:
        SecretFiles(home).variables("hub", HF)
    told = f"{refused.value.message} {refused.value.hint} {refused.value.__cause__}"
    assert refused.value.reason == "GatedOrUnauthorized"
    assert "hub" in refused.value.message
    assert str(path) in refused.value.hint or str(path) in refused.value.message
    assert TOKEN not in told and "12345678" not in told


def test_a_missing_secret_says_which_file_to_write_and_what_into_it(home: Home) -> None:
    with pytest.raises(UnusableSecret) as refused:
        SecretFiles(home).variables("hub", HF)
    assert str(home.secret("hub")) in refused.value.hint
    assert "HF_TOKEN" in refused.value.hint


def test_what_was_written_replaced_or_removed_is_noticed_once(home: Home) -> None:
    files = SecretFiles(home)
    seen = [files.refresh()]
    path = write(home, secret("stringData: {token: a}"))
    write(home, secret("stringData: {token: b}", name="b.c"), name="b.c")
    seen += [files.refresh(), files.refresh()]
    write(home, secret("stringData: {token: longer}"))
    seen += [files.refresh(), files.refresh()]
    path.unlink()
    seen += [files.refresh(), files.refresh()]
    assert seen == [set(), {"hub", "b.c"}, set(), {"hub"}, set(), {"hub"}, set()]


def test_a_secret_that_others_can_read_is_warned_of(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    write(home, secret(f"stringData: {{token: {TOKEN}}}"))
    files = SecretFiles(home)
    with caplog.at_level(logging.WARNING):
        files.refresh()
        assert caplog.records == []
        write(home, secret(f"stringData: {{token: {TOKEN}x}}")).chmod(0o640)
        files.refresh()
    assert [record.__dict__["file"] for record in caplog.records] == [str(home.secret("hub"))]
    assert TOKEN not in caplog.text
