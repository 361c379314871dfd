"""Keys, certificates and kubeconfigs.

Owns the cluster's certificate authority and the identities it vouches for. Deliberately keeps no
state of its own: a fresh set is made at every start. Invariant: private keys are readable by the
owner only, and exist nowhere but in the cluster's run folder.
"""

import base64
import datetime
import ipaddress
import os
import pathlib

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import oid

from localcluster import topology

_VALID = datetime.timedelta(days=3650)
_PEM = serialization.Encoding.PEM


class Authority:
    """A certificate authority that writes `<name>.crt` and `<name>.key` into its folder."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = x509.Name([x509.NameAttribute(oid.NameOID.COMMON_NAME, "localcluster")])
        builder = _builder(self._subject, self._subject, self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(True, None), critical=True)
        self._write("ca", self._key, builder.sign(self._key, hashes.SHA256()))

    @property
    def certificate(self) -> bytes:
        """The authority's own certificate as PEM."""
        return (self._folder / "ca.crt").read_bytes()

    def issue(
        self, file: str, *, user: str, groups: tuple[str, ...] = (), hosts: tuple[str, ...] = ()
    ) -> None:
        """Issue a certificate for `user` in `groups`, valid for serving at `hosts`."""
        names = [x509.NameAttribute(oid.NameOID.COMMON_NAME, user)]
        names += [x509.NameAttribute(oid.NameOID.ORGANIZATION_NAME, group) for group in groups]
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(x509.Name(names), self._subject, key.public_key())
        usages = [oid.ExtendedKeyUsageOID.CLIENT_AUTH, oid.ExtendedKeyUsageOID.SERVER_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        if hosts:
            alternatives = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
            builder = builder.add_extension(alternatives, critical=False)
        self._write(file, key, builder.sign(self._key, hashes.SHA256()))

    def kubeconfig(self, file: str, *, server: str, to: pathlib.Path, context: str) -> None:
        """Write a kubeconfig that authenticates at `server` with the certificate `file`."""
        user = {
            "client-certificate-data": _encoded((self._folder / f"{file}.crt").read_bytes()),
            "client-key-data": _encoded((self._folder / f"{file}.key").read_bytes()),
        }
        cluster = {"server": server, "certificate-authority-data": _encoded(self.certificate)}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": context, "cluster": cluster}],
            "users": [{"name": context, "user": user}],
            "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
            "current-context": context,
        }
        write_private(to, yaml.safe_dump(content, sort_keys=False).encode())

    def _write(
        self, file: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate
    ) -> None:
        write_private(self._folder / f"{file}.key", key_pem(key))
        (self._folder / f"{file}.crt").write_bytes(certificate.public_bytes(_PEM))


def create(folder: pathlib.Path, nodes: tuple[topology.Node, ...]) -> Authority:
    """Create the authority, every component's certificate and the key of service accounts."""
    authority = Authority(folder)
    authority.issue(
        "apiserver",
        user="kube-apiserver",
        hosts=(
            *("localhost", "127.0.0.1", topology.API_ADDRESS, topology.SERVICE_API_ADDRESS),
            *("kubernetes", "kubernetes.default", "kubernetes.default.svc"),
            "kubernetes.default.svc.cluster.local",
        ),
    )
    authority.issue("admin", user="kubernetes-admin", groups=("system:masters",))
    authority.issue("apiserver-kubelet", user="apiserver-kubelet", groups=("system:masters",))
    authority.issue("controller-manager", user="system:kube-controller-manager")
    authority.issue("scheduler", user="system:kube-scheduler")
    authority.issue("proxy", user="system:kube-proxy")
    for node in nodes:
        authority.issue(
            node.name,
            user=f"system:node:{node.name}",
            groups=("system:nodes",),
            hosts=(node.address, node.name),
        )
    service_accounts = ec.generate_private_key(ec.SECP256R1())
    write_private(folder / "sa.key", key_pem(service_accounts))
    return authority


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Encode a private key, unencrypted."""
    traditional = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(_PEM, traditional, serialization.NoEncryption())


def write_private(path: pathlib.Path, content: bytes) -> None:
    """Write a file that never is readable by anyone but its owner."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + _VALID)
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()
