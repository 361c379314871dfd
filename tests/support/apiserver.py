"""A bare Kubernetes API: kube-apiserver and etcd, on loopback, without nodes or controllers.

Owns: starting them from the programs of the local cluster, and stopping them. Does not own: what
is asked of them (`cluster.Cluster`). Invariant: each is of its own, so that a test may change what
a shared cluster depends on, such as CRDs.
"""

import secrets
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import yaml
from cryptography.hazmat.primitives.asymmetric import ec

from localcluster import pki
from tests.support import cluster as clusters

START = timedelta(minutes=2)
CRDS = Path(__file__).parents[2] / "crds"


@contextmanager
def running(programs: Path, *flags: str, tokens: Iterable[str] = ()) -> Iterator[clusters.Cluster]:
    """Start an API server; `programs` holds kube-apiserver, etcd and kubectl.

    `tokens` are further lines of the token file: token, user, ID and groups.

    Raises RuntimeError with the end of the log when one of the two ends at once.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="api-")))
        client, peer, secure = free_ports(3)
        etcd_url = f"http://127.0.0.1:{client}"
        start(
            stack,
            folder / "etcd.log",
            *(str(programs / "etcd"), "--data-dir", str(folder / "etcd"), "--unsafe-no-fsync"),
            *("--listen-client-urls", etcd_url, "--advertise-client-urls", etcd_url),
            *("--listen-peer-urls", f"http://127.0.0.1:{peer}", "--log-level", "error"),
        )
        key = folder / "sa.key"
        pki.write_private(key, pki.key_pem(ec.generate_private_key(ec.SECP256R1())))
        token = secrets.token_hex(16)
        lines = [f"{token},admin,admin,system:masters", *tokens]
        (folder / "tokens.csv").write_text("\n".join(lines))
        server = start(
            stack,
            folder / "kube-apiserver.log",
            str(programs / "kube-apiserver"),
            f"--etcd-servers={etcd_url}",
            "--bind-address=127.0.0.1",
            f"--secure-port={secure}",
            f"--cert-dir={folder / 'certificates'}",
            f"--token-auth-file={folder / 'tokens.csv'}",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--authorization-mode=RBAC",
            # Nothing makes the accounts that Pods would need, and no Pod is made.
            "--disable-admission-plugins=ServiceAccount",
            *flags,
        )
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(_kubeconfig(secure, token, folder / "certificates/apiserver.crt"))
        _wait_ready(server, kubeconfig, programs, folder / "kube-apiserver.log")
        yield clusters.Cluster(kubeconfig, programs=programs)


def install_crds(server: clusters.Cluster) -> str:
    """Apply our CRDs as users do it, client-side; return what kubectl said once all are served."""
    said = server.kubectl("apply", "-f", str(CRDS))
    server.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    return said


def start(stack: ExitStack, log: Path, *command: str) -> subprocess.Popen[bytes]:
    """Start a program that ends with the stack."""
    output = stack.enter_context(log.open("wb"))
    process = subprocess.Popen(command, stdout=output, stderr=output)
    stack.callback(process.wait)
    stack.callback(process.kill)
    return process


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on at the moment."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _kubeconfig(port: int, token: str, authority: Path) -> str:
    server = {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(authority)}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "api", "cluster": server}],
            "users": [{"name": "admin", "user": {"token": token}}],
            "contexts": [{"name": "api", "context": {"cluster": "api", "user": "admin"}}],
            "current-context": "api",
        }
    )


def _wait_ready(
    server: subprocess.Popen[bytes], kubeconfig: Path, programs: Path, log: Path
) -> None:
    deadline = time.monotonic() + START.total_seconds()
    ask = [str(programs / "kubectl"), f"--kubeconfig={kubeconfig}", "get", "--raw", "/readyz"]
    while subprocess.run(ask, capture_output=True, check=False).returncode:
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"no API server:\n{log.read_text()[-4000:]}")
        time.sleep(0.3)
