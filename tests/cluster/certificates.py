"""A certificate authority for one cluster: who a client is, and that a server is the right one."""

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# Clocks of a machine that was asleep may stand a little back.
BACKDATED = datetime.timedelta(hours=1)
LIFETIME = datetime.timedelta(days=365)
# Service account tokens of the API server are signed with RSA by default.
ACCOUNT_KEY_BITS = 2048


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Files of a certificate and its key, PEM."""

    certificate: Path
    key: Path


class Authority:
    """Everything lies in its folder, which nobody else may read."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("inferry test cluster", ())
        unsigned = _unsigned(self._name, self._name, self._key.public_key())
        usage = x509.BasicConstraints(ca=True, path_length=None)
        self._own = unsigned.add_extension(usage, critical=True).sign(self._key, hashes.SHA256())
        self.certificate = folder / "ca.crt"
        self.certificate.write_bytes(self._own.public_bytes(serialization.Encoding.PEM))

    def client(self, user: str, *groups: str) -> Pair:
        """The API server takes the common name for the user and the organizations for groups."""
        return self._issue(_name(user, groups), ExtendedKeyUsageOID.CLIENT_AUTH, ())

    def server(self, name: str, *, addresses: Sequence[str] = (), names: Sequence[str] = ()) -> Pair:
        numbers = [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
        known_as = [*numbers, *(x509.DNSName(one) for one in names)]
        return self._issue(_name(name, ()), ExtendedKeyUsageOID.SERVER_AUTH, known_as)

    def account_keys(self) -> Pair:
        """Key and public key for service account tokens."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=ACCOUNT_KEY_BITS)
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return self._write("service-accounts", public, key)

    def _issue(self, subject: x509.Name, usage: x509.ObjectIdentifier, known_as: Sequence[x509.GeneralName]) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        unsigned = _unsigned(subject, self._name, key.public_key())
        unsigned = unsigned.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if known_as:
            unsigned = unsigned.add_extension(x509.SubjectAlternativeName(known_as), critical=False)
        certificate = unsigned.sign(self._key, hashes.SHA256())
        # Several clients may have the same name: the number tells their files apart.
        return self._write(f"{certificate.serial_number:x}", certificate.public_bytes(serialization.Encoding.PEM), key)

    def _write(self, stem: str, public: bytes, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> Pair:
        pair = Pair(certificate=self._folder / f"{stem}.crt", key=self._folder / f"{stem}.key")
        pair.certificate.write_bytes(public)
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        pair.key.touch(mode=0o600)
        pair.key.write_bytes(secret)
        return pair


def _name(common: str, organizations: Sequence[str]) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, one) for one in organizations]
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _unsigned(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    begin = datetime.datetime.now(datetime.UTC) - BACKDATED
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key,
        serial_number=x509.random_serial_number(),
        not_valid_before=begin,
        not_valid_after=begin + LIFETIME,
    )
