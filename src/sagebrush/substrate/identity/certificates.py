"""The platform's own certificate authorities, and the certificates of the front door: as STS, and as itself.

Both SageMaker SDKs hard-code ``https://sts.<region>.amazonaws.com``; the front door terminates TLS for those names and
for nothing else. So that trusting our CA risks nothing, it is *name-constrained* (RFC 5280, 4.2.1.10, critical): a
certificate it might ever sign for S3, or for any other host, is rejected by the client itself.

Where the one URL speaks TLS (setting ``tls = "own"``) a second authority, constrained in the same way to the names and
addresses of this host, signs for it: who reaches the platform over a network trusts that one alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import resources
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sagebrush.substrate.identity.private_files import locked, replace_file

CA_LIFETIME = timedelta(days=3650)
LEAF_LIFETIME = timedelta(days=397)
#: A certificate this close to its end is replaced: a server may run for weeks after it looked.
CA_RENEWAL = timedelta(days=430)
LEAF_RENEWAL = timedelta(days=60)
#: Clients whose clock runs behind ours must accept a certificate made just now.
_BACKDATED = timedelta(days=1)
_LOOPBACK = "127.0.0.1"
_DNS_SUFFIX = "amazonaws.com"


@dataclass(frozen=True, slots=True)
class Certificates:
    """Where the files lie. ``bundle`` is what AWS_CA_BUNDLE names: the public roots and our CA in one PEM file."""

    ca_pem: Path
    leaf_pem: Path
    leaf_key: Path
    bundle: Path


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """Where the files of the one URL lie. ``ca_pem`` is what clients elsewhere have to trust (AWS_CA_BUNDLE)."""

    ca_pem: Path
    leaf_pem: Path
    leaf_key: Path


@dataclass(frozen=True, slots=True)
class _Subject:
    """What an authority may sign for, and what its one certificate is for: the same names and addresses."""

    authority: str
    holder: str
    names: tuple[str, ...]
    addresses: tuple[IPv4Address | IPv6Address, ...]

    @property
    def alternatives(self) -> list[x509.GeneralName]:
        return [*(x509.DNSName(name) for name in self.names), *(x509.IPAddress(found) for found in self.addresses)]

    @property
    def permitted(self) -> list[x509.GeneralName]:
        # Without an IP entry a CA may sign for every address: the entries for its own are what forbids the others.
        networks: list[IPv4Network | IPv6Network] = [ip_network(found) for found in self.addresses]
        return [*(x509.DNSName(name) for name in self.names), *(x509.IPAddress(network) for network in networks)]


@dataclass(frozen=True, slots=True)
class _Issued:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def aws_regions() -> tuple[str, ...]:
    """Every region whose endpoints end in ``amazonaws.com`` (partitions aws and aws-us-gov), as botocore lists them."""
    text = resources.files("botocore").joinpath("data/partitions.json").read_text()
    found = (
        region
        for partition in json.loads(text)["partitions"]
        if partition["outputs"]["dnsSuffix"] == _DNS_SUFFIX
        for region in partition["regions"]
    )
    return tuple(sorted(region for region in found if not region.endswith("-global")))


def sts_names(regions: Iterable[str]) -> tuple[str, ...]:
    """The DNS names under which the front door terminates TLS: STS's, and ``localhost``."""
    return ("localhost", f"sts.{_DNS_SUFFIX}", *(f"sts.{region}.{_DNS_SUFFIX}" for region in sorted(set(regions))))


def ensure_certificates(keys_dir: Path, regions: Iterable[str], now: datetime) -> Certificates:
    """The certificates, made when missing and remade when close to expiry, damaged, or short of a region.

    Safe to call from several processes at once. A renewed leaf keeps the CA, so that shells which hold the bundle in
    their environment go on working; only a CA that must change changes the bundle's last entry. ``now`` is aware.
    """
    subject = _Subject("Sagebrush local STS authority", "Sagebrush STS", sts_names(regions), (IPv4Address(_LOOPBACK),))
    files = Certificates(keys_dir / "ca.pem", keys_dir / "sts.pem", keys_dir / "sts.key", keys_dir / "ca-bundle.pem")
    with locked(keys_dir / "certificates.lock"):
        ca = _ensure(subject, files.ca_pem, keys_dir / "ca.key", files.leaf_pem, files.leaf_key, now)
        _write_bundle(files.bundle, ca)
    return files


def ensure_server_certificate(keys_dir: Path, hosts: Iterable[str], now: datetime) -> ServerCertificate:
    """The certificate of the one URL for ``hosts`` (names and addresses), made and remade as above.

    Other hosts mean another authority, which clients have to be told: its constraints name the hosts.
    """
    names, addresses = _names_and_addresses(hosts)
    subject = _Subject("Sagebrush server authority", "Sagebrush", names, addresses)
    files = ServerCertificate(keys_dir / "server-ca.pem", keys_dir / "server.pem", keys_dir / "server.key")
    with locked(keys_dir / "certificates.lock"):
        _ensure(subject, files.ca_pem, keys_dir / "server-ca.key", files.leaf_pem, files.leaf_key, now)
    return files


def _names_and_addresses(hosts: Iterable[str]) -> tuple[tuple[str, ...], tuple[IPv4Address | IPv6Address, ...]]:
    names: list[str] = []
    addresses: list[IPv4Address | IPv6Address] = []
    for host in dict.fromkeys(hosts):
        try:
            addresses.append(ip_address(host))
        except ValueError:
            names.append(host.lower())
    return tuple(names), tuple(addresses)


def _ensure(subject: _Subject, ca_pem: Path, ca_key: Path, leaf_pem: Path, leaf_key: Path, now: datetime) -> _Issued:
    """Authority and certificate of a subject, as they should be, on disk; the authority."""
    ca = _load(ca_pem, ca_key)
    if ca is None or not _lasts(ca, now, CA_RENEWAL) or not _constrained_to(ca, subject):
        ca = _issue_ca(subject, now)
        _save(ca, ca_pem, ca_key)
    leaf = _load(leaf_pem, leaf_key)
    if leaf is None or not _lasts(leaf, now, LEAF_RENEWAL) or not _covers(leaf, ca, subject):
        _save(_issue_leaf(ca, subject, now), leaf_pem, leaf_key)
    return ca


def _issue_ca(whom: _Subject, now: datetime) -> _Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, whom.authority)])
    builder = (
        _started(key, subject, subject, now, CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.NameConstraints(whom.permitted, None), critical=True)
    )
    return _Issued(builder.sign(key, hashes.SHA256()), key)


def _issue_leaf(ca: _Issued, whom: _Subject, now: datetime) -> _Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, whom.holder)])
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public_key())
    builder = (
        _started(key, subject, ca.certificate.subject, now, LEAF_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(authority, critical=False)
        .add_extension(x509.SubjectAlternativeName(whom.alternatives), critical=False)
    )
    return _Issued(builder.sign(ca.key, hashes.SHA256()), key)


def _started(
    key: ec.EllipticCurvePrivateKey, subject: x509.Name, issuer: x509.Name, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _load(pem: Path, key_file: Path) -> _Issued | None:
    """What lies on disk, or None when a file is missing, unreadable as PEM, or the two do not belong together."""
    try:
        certificate = x509.load_pem_x509_certificate(pem.read_bytes())
        key = load_pem_private_key(key_file.read_bytes(), password=None)
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        return None
    if _public(key.public_key()) != _public(certificate.public_key()):  # killed between writing the one and the other
        return None
    return _Issued(certificate, key)


def _public(key: object) -> bytes | None:
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return None
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _lasts(issued: _Issued, now: datetime, margin: timedelta) -> bool:
    return issued.certificate.not_valid_before_utc <= now < issued.certificate.not_valid_after_utc - margin


def _constrained_to(ca: _Issued, whom: _Subject) -> bool:
    try:
        constraints = ca.certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return False
    return constraints.permitted_subtrees == whom.permitted


def _covers(leaf: _Issued, ca: _Issued, whom: _Subject) -> bool:
    try:
        leaf.certificate.verify_directly_issued_by(ca.certificate)
        found = leaf.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (InvalidSignature, ValueError, x509.ExtensionNotFound):
        return False
    return list(found) == whom.alternatives


def _save(issued: _Issued, pem: Path, key_file: Path) -> None:
    private = issued.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    replace_file(key_file, private, mode=0o600)
    replace_file(pem, issued.certificate.public_bytes(Encoding.PEM), mode=0o644)


def _write_bundle(path: Path, ca: _Issued) -> None:
    content = Path(certifi.where()).read_bytes().rstrip(b"\n") + b"\n\n# Sagebrush local STS authority\n"
    content += ca.certificate.public_bytes(Encoding.PEM)
    if not path.exists() or path.read_bytes() != content:
        replace_file(path, content, mode=0o644)
