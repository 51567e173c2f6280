"""The front door's certificate is good for STS's names and its CA for nothing else, as OpenSSL itself judges."""

from __future__ import annotations

import socket
import ssl
import stat
import threading
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sagebrush.substrate.identity.certificates import Certificates, aws_regions, ensure_certificates, sts_names


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def keys_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("identity") / "keys"


@pytest.fixture(scope="module")
def certificates(keys_dir: Path) -> Certificates:
    return ensure_certificates(keys_dir, aws_regions(), now())


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> str:
    """Shake hands over a socket pair; what the client saw as the peer's common name. Raises what the client raises."""
    ours, theirs = socket.socketpair()
    ours.settimeout(20)
    theirs.settimeout(20)

    def serve() -> None:
        try:
            with server.wrap_socket(theirs, server_side=True) as connection:
                connection.recv(1)
        except (ssl.SSLError, ConnectionError):
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(ours, server_hostname=name) as connection:
            peer = connection.getpeercert()
            assert peer
            connection.sendall(b"x")
    finally:
        ours.close()
        thread.join()
    return next(value for rdn in peer["subject"] for key, value in rdn if key == "commonName")


def strict_client(bundle: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(bundle))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def server_with(pem: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    return context


@pytest.mark.parametrize(
    "name",
    ["sts.amazonaws.com", "sts.us-east-1.amazonaws.com", "sts.us-gov-west-1.amazonaws.com", "localhost", "127.0.0.1"],
)
def test_leaf_is_accepted_for_the_names_of_sts_and_loopback(certificates: Certificates, name: str) -> None:
    server = server_with(certificates.leaf_pem, certificates.leaf_key)
    assert handshake(server, strict_client(certificates.bundle), name) == "Sagebrush STS"


@pytest.mark.parametrize("name", ["s3.amazonaws.com", "sts.amazonaws.com.example.org", "10.0.0.1"])
def test_leaf_is_refused_for_any_other_name(certificates: Certificates, name: str) -> None:
    server = server_with(certificates.leaf_pem, certificates.leaf_key)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"not valid for|mismatch"):
        handshake(server, strict_client(certificates.bundle), name)


@pytest.mark.parametrize("name", ["s3.us-east-1.amazonaws.com", "bucket.s3.amazonaws.com", "example.org", "10.0.0.1"])
def test_a_leaf_that_our_ca_signed_for_another_host_is_rejected_by_the_client(
    certificates: Certificates, keys_dir: Path, tmp_path: Path, name: str
) -> None:
    """What an attacker with the CA's private key could do: nothing."""
    ca = x509.load_pem_x509_certificate(certificates.ca_pem.read_bytes())
    ca_key = serialization.load_pem_private_key((keys_dir / "ca.key").read_bytes(), None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    asked: x509.GeneralName = x509.IPAddress(IPv4Address(name)) if name[0].isdigit() else x509.DNSName(name)
    forged = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "forged")]))
        .issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() - timedelta(days=1))
        .not_valid_after(now() + timedelta(days=1))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .add_extension(x509.SubjectAlternativeName([asked]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem, private = tmp_path / "forged.pem", tmp_path / "forged.key"
    pem.write_bytes(forged.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
        handshake(server_with(pem, private), strict_client(certificates.bundle), name)


def test_a_client_that_does_not_have_the_bundle_trusts_nothing_of_ours(certificates: Certificates) -> None:
    server = server_with(certificates.leaf_pem, certificates.leaf_key)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"self-signed|unable to get local issuer"):
        handshake(server, ssl.create_default_context(), "sts.amazonaws.com")


def test_the_bundle_keeps_the_public_roots(certificates: Certificates) -> None:
    public = ssl.create_default_context(cafile=certifi.where()).cert_store_stats()["x509_ca"]
    both = ssl.create_default_context(cafile=str(certificates.bundle)).cert_store_stats()["x509_ca"]
    assert public > 100
    assert both == public + 1


def test_private_keys_are_readable_by_their_owner_only(certificates: Certificates, keys_dir: Path) -> None:
    for private in (certificates.leaf_key, keys_dir / "ca.key"):
        assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert stat.S_IMODE(keys_dir.stat().st_mode) == 0o700


def test_every_region_of_the_aws_partition_is_covered() -> None:
    import botocore.session

    session = botocore.session.get_session()
    known = {*session.get_available_regions("sts"), *session.get_available_regions("sts", "aws-us-gov")}
    assert len(known) > 30
    assert {f"sts.{region}.amazonaws.com" for region in known} <= set(sts_names(aws_regions()))


def test_a_second_call_changes_nothing(tmp_path: Path) -> None:
    first = ensure_certificates(tmp_path / "keys", ["us-east-1"], now())
    before = {path.name: path.read_bytes() for path in sorted((tmp_path / "keys").iterdir())}
    assert ensure_certificates(tmp_path / "keys", ["us-east-1"], now()) == first
    assert {path.name: path.read_bytes() for path in sorted((tmp_path / "keys").iterdir())} == before
    assert len(before) >= 5


def test_the_leaf_is_renewed_before_it_ends_and_the_ca_is_kept(tmp_path: Path) -> None:
    start = now()
    files = ensure_certificates(tmp_path, ["us-east-1"], start)
    ca, leaf = files.ca_pem.read_bytes(), files.leaf_pem.read_bytes()
    ensure_certificates(tmp_path, ["us-east-1"], start + timedelta(days=300))
    assert files.leaf_pem.read_bytes() == leaf
    ensure_certificates(tmp_path, ["us-east-1"], start + timedelta(days=380))
    assert files.leaf_pem.read_bytes() != leaf
    assert files.ca_pem.read_bytes() == ca


def test_the_ca_is_renewed_before_it_ends_with_its_bundle(tmp_path: Path) -> None:
    start = now()
    files = ensure_certificates(tmp_path, ["us-east-1"], start)
    ca, bundle = files.ca_pem.read_bytes(), files.bundle.read_bytes()
    ensure_certificates(tmp_path, ["us-east-1"], start + timedelta(days=3300))
    assert files.ca_pem.read_bytes() != ca
    assert files.bundle.read_bytes() != bundle
    assert files.bundle.read_bytes().endswith(files.ca_pem.read_bytes())


def test_a_region_that_is_new_gets_a_ca_and_a_leaf_that_know_it(tmp_path: Path) -> None:
    ensure_certificates(tmp_path, ["us-east-1"], now())
    files = ensure_certificates(tmp_path, ["us-east-1", "xx-new-1"], now())
    server = server_with(files.leaf_pem, files.leaf_key)
    assert handshake(server, strict_client(files.bundle), "sts.xx-new-1.amazonaws.com") == "Sagebrush STS"


@pytest.mark.parametrize("damaged", ["ca.pem", "ca.key", "sts.pem", "sts.key", "ca-bundle.pem"])
@pytest.mark.parametrize("how", ["missing", "truncated"])
def test_a_file_that_is_missing_or_torn_is_made_again(tmp_path: Path, damaged: str, how: str) -> None:
    ensure_certificates(tmp_path, ["us-east-1"], now())
    if how == "missing":
        (tmp_path / damaged).unlink()
    else:
        (tmp_path / damaged).write_bytes((tmp_path / damaged).read_bytes()[:60])
    files = ensure_certificates(tmp_path, ["us-east-1"], now())
    server = server_with(files.leaf_pem, files.leaf_key)
    assert handshake(server, strict_client(files.bundle), "sts.us-east-1.amazonaws.com") == "Sagebrush STS"


def test_a_key_of_another_certificate_is_noticed(tmp_path: Path) -> None:
    """As a kill between the two files leaves it."""
    files = ensure_certificates(tmp_path / "one", ["us-east-1"], now())
    other = ensure_certificates(tmp_path / "two", ["us-east-1"], now())
    files.leaf_key.write_bytes(other.leaf_key.read_bytes())
    files = ensure_certificates(tmp_path / "one", ["us-east-1"], now())
    server = server_with(files.leaf_pem, files.leaf_key)
    assert handshake(server, strict_client(files.bundle), "localhost") == "Sagebrush STS"
