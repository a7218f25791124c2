"""Certificates of a test's own authority, made by openssl."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from orchestrator.transport.broker_url import TlsFiles

CA_CONFIG = """\
[req]
distinguished_name = name
x509_extensions = ca
prompt = no
[name]
CN = aim test authority
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = IP:127.0.0.1, DNS:localhost
"""
# Python 3.13 refuses an authority without keyUsage; so do others.


@dataclass(kw_only=True)
class Authority:
    """Issues certificates into its directory."""

    openssl: str
    directory: Path

    def __post_init__(self) -> None:
        """Make the authority itself."""
        (self.directory / "ca.cnf").write_text(CA_CONFIG)
        self._run("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "ca.key")
        self._run(
            "req",
            "-x509",
            "-new",
            "-key",
            "ca.key",
            "-days",
            "2",
            "-out",
            "ca.crt",
            "-config",
            "ca.cnf",
        )

    def issue(self, name: str) -> TlsFiles:
        """Issue a certificate for the CN ``name``, good for servers on loopback too."""
        self._run("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{name}.key")
        self._run(
            "req",
            "-new",
            "-key",
            f"{name}.key",
            "-subj",
            f"/CN={name}",
            "-config",
            "ca.cnf",
            "-out",
            f"{name}.csr",
        )
        self._run(
            "x509",
            "-req",
            "-in",
            f"{name}.csr",
            "-CA",
            "ca.crt",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            "ca.cnf",
            "-extensions",
            "leaf",
            "-out",
            f"{name}.crt",
        )
        return TlsFiles(
            ca=self.directory / "ca.crt",
            certificate=self.directory / f"{name}.crt",
            key=self.directory / f"{name}.key",
        )

    def _run(self, *arguments: str) -> None:
        subprocess.run(
            [self.openssl, *arguments], cwd=self.directory, check=True, capture_output=True
        )
