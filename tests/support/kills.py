"""Operators that run otherwise for a while, or are killed after each of their writes.

Owns: installing them so, and as before. Does not own: what is tested (`tests.e2e`), or signals to
processes (`nodes`). Invariant: the operator's own code is the same; the killer is wrapped around.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support import operators

KILLER = Path(__file__).parent / "killer"


@contextmanager
def reinstalled(operator: operators.Operator, values: dict[str, Any]) -> Iterator[None]:
    """Run the operator with other values, then as before."""
    operators.install(operator.cluster, namespace=operator.namespace, values=values)
    try:
        yield
    finally:
        operators.install(operator.cluster, namespace=operator.namespace)


@contextmanager
def killed_after_each_write(
    operator: operators.Operator, values: Any, *, about: str = ""
) -> Iterator[None]:
    """Run the operator under the killer: after writes about that object, else about `kill-<k>`."""
    cluster, namespace = operator.cluster, operator.namespace
    files = [f"--from-file={KILLER / name}" for name in ("run", "sitecustomize.py")]
    files += [f"--from-literal=about={about}"] if about else []
    where = ("-n", namespace)
    cluster.kubectl(*where, "create", "configmap", "killer", *files)
    volume = {"name": "killer", "configMap": {"name": "killer", "defaultMode": 0o555}}
    mount = {"name": "killer", "mountPath": "/killer"}
    killer = {
        "operatorCommand": "/killer/run",
        "extraVolumes": [volume],
        "extraVolumeMounts": [mount],
    }
    try:
        with reinstalled(operator, {**values, **killer}):
            yield
    finally:
        cluster.kubectl(*where, "delete", "configmap", "killer")
