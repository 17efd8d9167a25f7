"""Ways to reach a cluster."""

import base64
from pathlib import Path

import pytest

from inferry.kubernetes.credentials import CredentialsError, find, from_pod

CONFIG = """
current-context: mine
contexts: [{{name: mine, context: {{cluster: c, user: u}}}}]
clusters: [{{name: c, cluster: {{server: "https://127.0.0.1:6443/", certificate-authority-data: {ca}}}}}]
users: [{{name: u, user: {user}}}]
"""


def written(folder: Path, user: str) -> Path:
    path = folder / "config"
    path.write_text(CONFIG.format(ca=base64.b64encode(b"AUTHORITY").decode(), user=user))
    return path


def test_a_kubeconfig_with_a_token(tmp_path: Path) -> None:
    found = find(written(tmp_path, "{token: abc}"), {})
    assert (found.server, found.ca, found.current_token()) == ("https://127.0.0.1:6443", "AUTHORITY", "abc")


def test_a_token_in_a_file_is_read_anew(tmp_path: Path) -> None:
    found = find(written(tmp_path, "{tokenFile: token}"), {})
    for token in ("one", "two"):
        (tmp_path / "token").write_text(f"{token}\n")
        assert found.current_token() == token


def test_a_certificate_in_a_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / "me.pem").write_text("CERTIFICATE")
    (tmp_path / "me.key").write_text("KEY")
    found = find(written(tmp_path, "{client-certificate: me.pem, client-key: me.key}"), {})
    assert (found.certificate, found.key) == ("CERTIFICATE", "KEY")


@pytest.mark.parametrize(
    ("user", "words"),
    [("{exec: {command: login}}", "logs in by a command"), ("{client-certificate: missing.pem}", "missing.pem")],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, user: str, words: str) -> None:
    with pytest.raises(CredentialsError, match=words):
        find(written(tmp_path, user), {})


def test_a_context_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("current-context: gone\n")
    with pytest.raises(CredentialsError, match="'gone'"):
        find(tmp_path / "config", {})


def test_outside_of_a_pod_a_kubeconfig_is_asked_for() -> None:
    with pytest.raises(CredentialsError, match="--kubeconfig"):
        find(None, {})


def test_a_pod_uses_its_own_account(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("AUTHORITY")
    (tmp_path / "token").write_text("abc")
    found = from_pod({"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}, tmp_path)
    assert (found.server, found.current_token()) == ("https://[fd00::1]:443", "abc")
