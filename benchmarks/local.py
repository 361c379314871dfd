"""The local cluster with the operator of now, for the cases that need real Ray.

Owns: bringing it up, and namespaces of the cases. Does not own: what is measured there.
"""

import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tests.support import audit as audits
from tests.support import cluster as clusters
from tests.support import operators

_LOCALCLUSTER = (sys.executable, "-m", "localcluster")


def operator() -> operators.Operator:
    """Bring the cluster up, with the operator's image of now."""
    subprocess.run([*_LOCALCLUSTER, "up"], stdout=sys.stderr, check=True)
    cluster = clusters.Cluster(_path("kubeconfig"), programs=_path("path"))
    return operators.install(cluster, namespace="ray-system")


def audit() -> audits.Log:
    """Return the cluster's audit log from now on."""
    return audits.Log(_path("audit-log"), datetime.now(UTC))


@contextmanager
def namespace(cluster: clusters.Cluster) -> Iterator[str]:
    """A namespace of the case's own, gone with all its Pods before the next case begins."""
    name = f"bench-{uuid.uuid4().hex[:5]}"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--timeout=120s")


def _path(what: str) -> Path:
    return Path(subprocess.check_output([*_LOCALCLUSTER, what], text=True).strip())
