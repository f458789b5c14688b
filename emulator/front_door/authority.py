"""The certificates of the front door: an authority of its own, which a client may choose to trust, and what it signs."""

from __future__ import annotations

import ssl
import tempfile
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID = timedelta(days=90)
LONGEST_COMMON_NAME = 64
USAGES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
    *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)


class Authority:
    """Signs certificates for any names. Its own, in PEM, is at `path` until the block ends."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="emulator-")
        self._files: dict[tuple[str, ...], Path] = {}
        self._lock = threading.Lock()
        self._name = _named("Emulated AWS, for rehearsals only")
        self._key = ec.generate_private_key(ec.SECP256R1())
        own = self._signed(self._name, self._key.public_key(), ["key_cert_sign", "crl_sign"])
        self.path = str(Path(self._folder.name) / "certificate-authority.pem")
        Path(self.path).write_bytes(own.public_bytes(Encoding.PEM))

    def __enter__(self) -> Authority:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def context(self, names: list[str]) -> ssl.SSLContext:
        """TLS for a server that shows a certificate with these names."""
        with self._lock:
            file = self._files.get(tuple(names)) or self._make(names)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(file)
            return context

    def _make(self, names: list[str]) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        server = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        subject = _named(names[0][:LONGEST_COMMON_NAME])
        made = self._signed(subject, key.public_key(), ["digital_signature"], alternatives, server)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file = self._files[tuple(names)] = Path(self._folder.name) / f"{len(self._files)}.pem"
        file.write_bytes(private + made.public_bytes(Encoding.PEM))
        return file

    def _signed(
        self, subject: x509.Name, key: Any, usages: list[str], *extensions: x509.ExtensionType
    ) -> x509.Certificate:
        now = datetime.now(timezone.utc)
        authority = "key_cert_sign" in usages
        builder = x509.CertificateBuilder(
            self._name, subject, key, x509.random_serial_number(), now - VALID, now + VALID
        )
        builder = builder.add_extension(x509.BasicConstraints(authority, None), critical=True)
        builder = builder.add_extension(x509.KeyUsage(**{use: use in usages for use in USAGES}), critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        for extension in (issuer, *extensions):
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
