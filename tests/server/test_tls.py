"""What the settings say about TLS."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from sagebrush.server import tls
from sagebrush.substrate.errors import CallerError
from sagebrush.substrate.settings import Settings

NOW = datetime.now(UTC)


def names(pem: Path) -> set[str]:
    found = x509.load_pem_x509_certificate(pem.read_bytes()).extensions
    alternatives = found.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(alternative.value) for alternative in alternatives}


def test_the_certificate_is_for_this_host_and_for_whatever_is_set(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, tls="own", host="0.0.0.0", tls_hosts="ml.example.com, 192.0.2.7")
    tls.ensure(settings, NOW)
    certificate, key = tls.certificate_files(settings)
    assert names(certificate) == {"localhost", "127.0.0.1", "ml.example.com", "192.0.2.7"}
    assert key.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "keys" / "server-ca.key").stat().st_mode & 0o777 == 0o600
    assert tls.address_of(settings, 4600) == "https://ml.example.com:4600"
    assert tls.address_of(Settings(host="2001:db8::1", tls="own"), 1) == "https://[2001:db8::1]:1"


def test_a_renewed_certificate_keeps_its_authority_and_other_names_need_another(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, tls="own", tls_hosts="one.example.com")
    authority, (certificate, _) = tmp_path / "keys" / "server-ca.pem", tls.certificate_files(settings)
    tls.ensure(settings, NOW)
    first, leaf = authority.read_bytes(), certificate.read_bytes()
    tls.ensure(settings, NOW + timedelta(days=1))
    assert (authority.read_bytes(), certificate.read_bytes()) == (first, leaf)
    tls.ensure(settings, NOW + timedelta(days=380))
    assert authority.read_bytes() == first
    assert certificate.read_bytes() != leaf
    tls.ensure(Settings(data_dir=tmp_path, tls="own", tls_hosts="two.example.com"), NOW)
    assert authority.read_bytes() != first


def test_the_authority_can_sign_for_nobody_else(tmp_path: Path) -> None:
    tls.ensure(Settings(data_dir=tmp_path, tls="own", tls_hosts="ml.example.com"), NOW)
    certificate = x509.load_pem_x509_certificate((tmp_path / "keys" / "server-ca.pem").read_bytes())
    constraints = certificate.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    permitted = {str(found.value) for found in constraints.value.permitted_subtrees or ()}
    assert permitted == {"localhost", "127.0.0.1/32", "ml.example.com"}


def test_files_that_cannot_be_used_are_told_before_anything_starts(tmp_path: Path) -> None:
    own = Settings(data_dir=tmp_path, tls="own")
    tls.ensure(own, NOW)
    certificate, key = (str(path) for path in tls.certificate_files(own))
    tls.check(Settings(tls="files", tls_certificate=certificate, tls_key=key))
    for wrong, told in (
        (Settings(tls="files"), "needs tls_certificate and tls_key"),
        (Settings(tls="files", tls_certificate="a.pem", tls_key="b.pem"), "must be absolute"),
        (Settings(tls="files", tls_certificate=certificate, tls_key=f"{tmp_path}/missing"), "cannot be used"),
        (Settings(tls="files", tls_certificate=key, tls_key=key), "cannot be used"),
    ):
        with pytest.raises(CallerError, match=told):
            tls.check(wrong)
