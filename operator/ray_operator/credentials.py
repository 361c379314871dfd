"""How to reach the API server: read once from the Pod's service account or a kubeconfig.

Owns: finding and parsing credentials. Does not own: requests (`kube`). Invariant: there is one
path of credentials; kopf and our own client are handed the same `Credentials`.
"""

import base64
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class BadCredentials(Exception):
    """No usable credentials; the message names the file and what is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A server, how to trust it, and how to be trusted by it.

    Attributes:
        server: URL without a trailing slash.
        token_path: file with the bearer token; read again for each use because it is rotated.
        certificate, private_key: PEM, both or neither.
        namespace: the namespace of the service account or of the kubeconfig's context.
    """

    server: str
    ca: bytes | None = None
    insecure: bool = False
    token: str | None = None
    token_path: Path | None = None
    certificate: bytes | None = None
    private_key: bytes | None = None
    namespace: str = "default"

    def bearer(self) -> str | None:
        """Return the bearer token of the moment, None when certificates are used."""
        if self.token_path is not None:
            return self.token_path.read_text().strip()
        return self.token

    def ssl_context(self) -> ssl.SSLContext:
        """Build the TLS context that verifies the server and presents our certificate."""
        context = ssl.create_default_context(cadata=self.ca.decode() if self.ca else None)
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.certificate and self.private_key:
            with tempfile.NamedTemporaryFile() as pem:  # the ssl module reads only files
                pem.write(self.certificate + b"\n" + self.private_key)
                pem.flush()
                context.load_cert_chain(pem.name)
        return context


def in_cluster(host: str, port: str, root: Path = SERVICE_ACCOUNT) -> Credentials:
    """Read the service account that Kubernetes mounts into a Pod."""
    return Credentials(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        ca=(root / "ca.crt").read_bytes(),
        token_path=root / "token",
        namespace=(root / "namespace").read_text().strip(),
    )


def from_kubeconfig(path: Path) -> Credentials:
    """Read the current context of a kubeconfig.

    Raises:
        BadCredentials: the file lacks something, or uses an exec or auth-provider plugin.
    """
    config: dict[str, Any] = yaml.safe_load(path.read_text()) or {}

    def named(section: str, name: str) -> dict[str, Any]:
        for item in config.get(section) or []:
            if item.get("name") == name:
                return dict(item.get(section.removesuffix("s")) or {})
        raise BadCredentials(f"{path}: no entry {name!r} in {section!r}")

    context = named("contexts", config.get("current-context", ""))
    cluster = named("clusters", context.get("cluster", ""))
    user = named("users", context.get("user", ""))
    if "exec" in user or "auth-provider" in user:
        raise BadCredentials(f"{path}: credential plugins are not supported; use a token")
    token_file = user.get("tokenFile")
    return Credentials(
        server=cluster.get("server", "").rstrip("/"),
        ca=_data(path, cluster, "certificate-authority"),
        insecure=bool(cluster.get("insecure-skip-tls-verify", False)),
        token=user.get("token"),
        token_path=Path(path.parent, token_file) if token_file else None,
        certificate=_data(path, user, "client-certificate"),
        private_key=_data(path, user, "client-key"),
        namespace=context.get("namespace", "default"),
    )


def _data(path: Path, section: dict[str, Any], field: str) -> bytes | None:
    """Read `field-data` (base64) or the file that `field` names."""
    if inline := section.get(f"{field}-data"):
        return base64.b64decode(inline)
    if file := section.get(field):
        return Path(path.parent, file).read_bytes()
    return None
