"""The platform's own certificate authority, and the certificate with which the front door speaks as STS.

Both SageMaker SDKs hard-code ``https://sts.<region>.amazonaws.com``; the front door terminates TLS for those names and
for nothing else. So that trusting our CA risks nothing, it is *name-constrained* (RFC 5280, 4.2.1.10, critical): a
certificate it might ever sign for S3, or for any other host, is rejected by the client itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import resources
from ipaddress import IPv4Address, IPv4Network
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
    names = sts_names(regions)
    files = Certificates(keys_dir / "ca.pem", keys_dir / "sts.pem", keys_dir / "sts.key", keys_dir / "ca-bundle.pem")
    with locked(keys_dir / "certificates.lock"):
        ca_key = keys_dir / "ca.key"
        ca = _load(files.ca_pem, ca_key)
        if ca is None or not _lasts(ca, now, CA_RENEWAL) or not _constrained_to(ca, names):
            ca = _issue_ca(names, now)
            _save(ca, files.ca_pem, ca_key)
        leaf = _load(files.leaf_pem, files.leaf_key)
        if leaf is None or not _lasts(leaf, now, LEAF_RENEWAL) or not _covers(leaf, ca, names):
            _save(_issue_leaf(ca, names, now), files.leaf_pem, files.leaf_key)
        _write_bundle(files.bundle, ca)
    return files


def _issue_ca(names: tuple[str, ...], now: datetime) -> _Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Sagebrush local STS authority")])
    builder = (
        _started(key, subject, subject, now, CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.NameConstraints(_permitted(names), None), critical=True)
    )
    return _Issued(builder.sign(key, hashes.SHA256()), key)


def _issue_leaf(ca: _Issued, names: tuple[str, ...], now: datetime) -> _Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Sagebrush STS")])
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    alternatives.append(x509.IPAddress(IPv4Address(_LOOPBACK)))
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.key.public_key())
    builder = (
        _started(key, subject, ca.certificate.subject, now, LEAF_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(authority, critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
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


def _permitted(names: tuple[str, ...]) -> list[x509.GeneralName]:
    # Without an IP entry a CA may sign for every address: the entry for loopback is what forbids the others.
    return [*(x509.DNSName(name) for name in names), x509.IPAddress(IPv4Network(f"{_LOOPBACK}/32"))]


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


def _constrained_to(ca: _Issued, names: tuple[str, ...]) -> bool:
    try:
        constraints = ca.certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return False
    return constraints.permitted_subtrees == _permitted(names)


def _covers(leaf: _Issued, ca: _Issued, names: tuple[str, ...]) -> bool:
    try:
        leaf.certificate.verify_directly_issued_by(ca.certificate)
        found = leaf.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (InvalidSignature, ValueError, x509.ExtensionNotFound):
        return False
    return set(found.get_values_for_type(x509.DNSName)) == set(names)


def _save(issued: _Issued, pem: Path, key_file: Path) -> None:
    private = issued.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    replace_file(key_file, private, mode=0o600)
    replace_file(pem, issued.certificate.public_bytes(Encoding.PEM), mode=0o644)


def _write_bundle(path: Path, ca: _Issued) -> None:
    content = Path(certifi.where()).read_bytes().rstrip(b"\n") + b"\n\n# Sagebrush local STS authority\n"
    content += ca.certificate.public_bytes(Encoding.PEM)
    if not path.exists() or path.read_bytes() != content:
        replace_file(path, content, mode=0o644)
