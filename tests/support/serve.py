"""RayServices: an application that tells its version, waiting, and requests under load.

Owns: valid objects with keyword overrides, waits that fail at once when the end is another, and a
Pod that sends requests and counts what fails. Does not own: clusters (`ray`). Invariant: nothing is
ever asked twice, so that what fails is counted.
"""

import contextlib
import json
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from tests.support import cluster as clusters
from tests.support import ray

NAME = "svc"
START = timedelta(minutes=5)
GENERATOR = Path(__file__).parent / "load/generator.py"
CODE = "serve-code"
APP = """
import asyncio, os
from ray import serve

@serve.deployment
class Versioned:
    def reconfigure(self, config):
        self.version = f"{config['version']}/{os.environ.get('CLUSTER_VERSION', '1')}"

    async def __call__(self, request):
        if request.url.path.endswith("/slow"):
            await asyncio.sleep(3)
        return self.version

app = Versioned.bind()
"""


def code(**programs: str) -> clusters.Json:
    """Return the ConfigMap of programs that `ray_service` mounts."""
    data = {f"{name}.py": text for name, text in {"versioned": APP, **programs}.items()}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": CODE}, "data": data}


def config(version: str = "a", *, replicas: int = 2, path: str = "versioned:app") -> str:
    """Return a Serve configuration of one application that tells that version."""
    deployment = {
        "name": "Versioned",
        "num_replicas": replicas,
        "max_ongoing_requests": 100,
        "user_config": {"version": version},
        "ray_actor_options": {"num_cpus": 0.1},
    }
    app = {
        "name": "app",
        "import_path": path,
        "route_prefix": "/",
        "deployments": [deployment],
        "logging_config": {"enable_access_log": False},
    }
    return json.dumps({"applications": [app]})


def cluster_config(
    version: str = "1",
    *,
    workers: int = 1,
    image: str = ray.IMAGE,
    cpu: str = "100m",
    env: Mapping[str, str] | None = None,
    **fields: Any,
) -> clusters.Json:
    """Return a `rayClusterConfig` whose Pods know a version; another one needs a new cluster.

    All Ray containers get `env` too. Where CPUs are short, each Pod's share of them is as it asks
    for `cpu`.
    """
    spec: clusters.Json = ray.ray_cluster(workers=workers)["spec"]
    variables = {
        "PYTHONPATH": "/code",
        "CLUSTER_VERSION": version,
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        **(env or {}),
    }
    if not workers:
        spec["workerGroupSpecs"] = []
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        container["image"] = image
        requests = {**ray.RESOURCES["requests"], "cpu": cpu}
        container["resources"] = {**ray.RESOURCES, "requests": requests}
        container["env"] = [
            *container["env"],
            *({"name": key, "value": value} for key, value in variables.items()),
        ]
        container["volumeMounts"] = [{"name": "code", "mountPath": "/code"}]
        pod["volumes"] = [{"name": "code", "configMap": {"name": CODE}}]
    spec["rayVersion"] = image.rpartition(":")[2]
    return {**spec, **fields}


def ray_service(name: str = NAME, **spec: Any) -> clusters.Json:
    """Return a RayService of the versioned application; `spec` overrides."""
    given = {"serveConfigV2": config(), "rayClusterConfig": cluster_config(), **spec}
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": {"name": name},
        "spec": given,
    }


def change(cluster: clusters.Cluster, namespace: str, name: str = NAME, /, **spec: Any) -> None:
    """Change fields of the spec."""
    cluster.patch("rayservices", namespace, name, {"spec": spec})


def status(cluster: clusters.Cluster, namespace: str, name: str = NAME) -> clusters.Json:
    """Return the status, empty when there is none."""
    found: clusters.Json = (cluster.get("rayservices", namespace, name) or {}).get("status", {})
    return found


def active(cluster: clusters.Cluster, namespace: str, name: str = NAME) -> str:
    """Name the cluster that serves."""
    found = status(cluster, namespace, name).get("activeServiceStatus") or {}
    return str(found.get("rayClusterName", ""))


def wait_condition(
    cluster: clusters.Cluster,
    namespace: str,
    type_: str,
    wanted: str = "True",
    *,
    name: str = NAME,
    reason: str = "",
    within: timedelta = START,
) -> clusters.Json:
    """Wait for a condition of the spec of now; return it."""

    def holds() -> clusters.Json | None:
        found = cluster.get("rayservices", namespace, name) or {}
        said = ray.condition(found.get("status", {}), type_)
        is_new = said.get("observedGeneration") == found.get("metadata", {}).get("generation")
        is_so = said.get("status") == wanted and reason in {"", said.get("reason")}
        return said if is_new and is_so else None

    what = f"RayService {name} {type_}={wanted} {reason}"
    return cluster.wait(holds, within=within, what=what, namespace=namespace)


def wait_serving(
    cluster: clusters.Cluster, namespace: str, name: str = NAME, *, within: timedelta = START
) -> str:
    """Wait until what the spec of now says serves, and nothing else; name the cluster."""
    for type_ in ("RayServiceUpToDate", "ApplicationsRunning", "Ready"):
        wait_condition(cluster, namespace, type_, name=name, within=within)
    return active(cluster, namespace, name)


def endpoints(cluster: clusters.Cluster, namespace: str, service: str) -> set[str]:
    """Return the UIDs of the Pods that take the requests to a Service."""
    slices = cluster.list(
        "endpointslices", namespace, labels=f"kubernetes.io/service-name={service}"
    )
    return {
        each["targetRef"]["uid"]
        for found in slices
        for each in found.get("endpoints") or ()
        if each["conditions"].get("ready")
    }


class Answer(NamedTuple):
    """One request: when it was sent (Unix time), what kind, and what came of it."""

    at: float
    kind: str
    is_fresh: bool
    status: int
    text: str
    seconds: float

    @property
    def is_good(self) -> bool:
        """Tell whether it was answered."""
        return self.status == 200


class Load:
    """A Pod that sends requests until the end of the test."""

    def __init__(self, cluster: clusters.Cluster, namespace: str, pod: str) -> None:
        self._cluster = cluster
        self._where = ("-n", namespace, "logs", pod, "--tail=-1")

    def answers(self) -> list[Answer]:
        """Return all answers so far, in the order of their requests."""
        lines = self._cluster.kubectl(*self._where).splitlines()
        found = [json.loads(line) for line in lines if line.startswith("{")]
        answers = [
            Answer(
                each["at"],
                each["kind"],
                each["fresh"],
                each["status"],
                each["text"],
                each["seconds"],
            )
            for each in found
        ]
        return sorted(answers)

    def wait(self, seconds: float) -> list[Answer]:
        """Let requests be sent for so long, and be answered; return all."""
        time.sleep(seconds)
        return self.answers()


@contextlib.contextmanager
def load(
    cluster: clusters.Cluster,
    namespace: str,
    url: str,
    *,
    fast: float = 20,
    slow: float = 1,
    cpu: str = "50m",
) -> Iterator[Load]:
    """Send requests to the URL, so many a second, until the end of the block."""
    program = {"generator.py": GENERATOR.read_text()}
    cluster.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "load"}, "data": program},
        namespace,
    )
    container = {
        "name": "load",
        "image": ray.IMAGE,
        "command": ["python", "-u", "/load/generator.py", url, str(fast), str(slow)],
        "resources": {"requests": {"cpu": cpu, "memory": "64Mi"}},
        "volumeMounts": [{"name": "load", "mountPath": "/load"}],
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "load"},
        "spec": {
            "containers": [container],
            "volumes": [{"name": "load", "configMap": {"name": "load"}}],
            "terminationGracePeriodSeconds": 0,
            "restartPolicy": "Never",
        },
    }
    cluster.apply(pod, namespace)
    sent = Load(cluster, namespace, "load")
    cluster.wait(
        lambda: bool(sent.answers()),
        within=timedelta(minutes=1),
        what="the first answer",
        namespace=namespace,
    )
    try:
        yield sent
    finally:
        cluster.kubectl("-n", namespace, "delete", "pod", "load", "--wait=true")


def summary(answers: list[Answer]) -> Mapping[str, Any]:
    """Sum up: how many were sent and failed, of each kind, and how long the fast ones took."""
    fast = sorted(each.seconds for each in answers if each.kind == "fast" and each.is_good)
    bad = [each for each in answers if not each.is_good]
    return {
        "sent": len(answers),
        "failed": len(bad),
        "failures": [(each.kind, each.is_fresh, each.status, each.text) for each in bad[:10]],
        "versions": sorted({each.text for each in answers if each.is_good}),
        "median": statistics.median(fast) if fast else None,
        "worst": fast[-1] if fast else None,
    }


@contextlib.contextmanager
def watched_endpoints(
    cluster: clusters.Cluster, namespace: str, service: str
) -> Iterator[Callable[[], int]]:
    """Look at a Service's endpoints again and again; the result tells the fewest there were."""
    seen = [10**6]
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(0.3):
            with contextlib.suppress(clusters.CommandFailed):
                found = len(endpoints(cluster, namespace, service))
                if found != seen[-1]:
                    seen.append(found)
                    print(f"{time.strftime('%X')} {found} endpoints")

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield lambda: min(seen)
    finally:
        is_over.set()
        thread.join()


ASK = """
import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())
"""


def answers(cluster: clusters.Cluster, namespace: str, name: str = NAME, *, url: str = "") -> str:
    """Ask once through the Service, from the head that serves; return what it answers."""
    head = ray.head(cluster, namespace, active(cluster, namespace, name))
    where = ("-n", namespace, "exec", "-i", head, "-c", "ray-head", "--", "python", "-")
    url = url or f"http://{name}-serve-svc:8000/"
    return cluster.kubectl(*where, url, stdin=ASK).strip()
