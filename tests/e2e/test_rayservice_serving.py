"""RayServices that lose Pods, on every sort of cluster and Ray version, on real Ray."""

import functools
import json
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support import cluster as clusters
from tests.support import kills, operators, ray, redis, samples, serve

pytestmark = [pytest.mark.full, pytest.mark.usefixtures("operator")]
MINUTE = timedelta(minutes=1)
NEW_RAY = ray.NEW_IMAGE
SERVICES = {"ray-service.custom-serve-service.yaml": "custom-ray-serve-service"}
ASKED_ELSEWHERE = {
    "ray-service.sample.yaml",  # test_rayservice
    "ray-service.image-classifier.yaml",  # test_journeys
    "ray-service.text-ml.yaml",  # test_a_sample_sums_a_text_up
}
PORTS = {"ray-service.different-port.yaml": 9000, "ray-service.custom-serve-service.yaml": 80}
URL = f"http://{serve.NAME}-serve-svc:8000"


def spread(version: str = "a") -> str:
    """Return a configuration of a replica on each of two nodes."""
    config = json.loads(serve.config(version, replicas=2))
    config["applications"][0]["deployments"][0]["max_replicas_per_node"] = 1
    return json.dumps(config)


def lasting(
    cluster: clusters.Cluster, namespace: str, *, image: str = ray.IMAGE, **spec: Any
) -> str:
    """Make one whose head keeps its state in Redis; name its cluster.

    Newer Ray that is made for throughput takes requests at the head only.
    """
    store = redis.start(cluster, namespace)
    cluster.apply(serve.code(), namespace)
    everywhere = {"RAY_SERVE_THROUGHPUT_OPTIMIZED": "0"} if image == NEW_RAY else {}
    config = serve.cluster_config(
        workers=2, image=image, env=everywhere, gcsFaultToleranceOptions=store
    )
    config["headGroupSpec"]["rayStartParams"] = {"num-cpus": "0"}
    given = {"rayClusterConfig": config, "serveConfigV2": spread(), **spec}
    cluster.apply(serve.ray_service(**given), namespace)
    return serve.wait_serving(cluster, namespace)


def worker(cluster: clusters.Cluster, namespace: str, name: str) -> str:
    pods = ray.pods(cluster, namespace, name, node_type="worker")
    return str(pods[0]["metadata"]["name"])


@pytest.mark.parametrize(
    ("who", "image"),
    [(worker, ray.IMAGE), (ray.head, ray.IMAGE), (ray.head, NEW_RAY)],
    ids=["worker", "head", "head-of-new-ray"],
)
def test_a_lost_pod_costs_few_requests(
    cluster: clusters.Cluster,
    namespace: str,
    who: Callable[[clusters.Cluster, str, str], str],
    image: str,
) -> None:
    """Scenario 6: two replicas on two workers, the head's state in Redis."""
    name = lasting(cluster, namespace, image=image)
    service = f"{serve.NAME}-serve-svc"
    cluster.wait(
        lambda: len(serve.endpoints(cluster, namespace, service)) == 3,
        within=MINUTE,
        what="all nodes taking requests",
        namespace=namespace,
    )
    with serve.load(cluster, namespace, URL) as load:
        before = serve.summary(load.wait(15))
        assert before["failed"] == 0
        pod = who(cluster, namespace, name)
        cluster.kubectl("-n", namespace, "delete", "pod", pod, "--wait=false")
        load.wait(45)
        serve.wait_serving(cluster, namespace)
        found = serve.summary(load.wait(20))
    print(found)
    assert serve.active(cluster, namespace) == name
    assert found["failed"] <= 0.01 * found["sent"]


def test_a_head_without_a_store_comes_back_with_its_applications(
    cluster: clusters.Cluster, namespace: str
) -> None:
    """Scenario 5: the configuration is submitted anew."""
    cluster.apply(serve.code(), namespace)
    cluster.apply(serve.ray_service(), namespace)
    name = serve.wait_serving(cluster, namespace)
    service = f"{serve.NAME}-serve-svc"
    before = serve.endpoints(cluster, namespace, service)
    head = ray.head(cluster, namespace, name)
    cluster.kubectl("-n", namespace, "delete", "pod", head, "--wait=true")
    cluster.wait(
        lambda: not before & serve.endpoints(cluster, namespace, service),
        within=3 * MINUTE,
        what="other endpoints",
        namespace=namespace,
    )
    assert serve.wait_serving(cluster, namespace) == name
    assert serve.answers(cluster, namespace) == "a/1"


def test_a_head_whose_proxy_hangs_gets_no_requests(
    cluster: clusters.Cluster, namespace: str
) -> None:
    """Scenario 7: it gets its label back when it answers again."""
    cluster.apply(serve.code(), namespace)
    cluster.apply(serve.ray_service(), namespace)
    name = serve.wait_serving(cluster, namespace)
    head = ray.head(cluster, namespace, name)
    where = ("-n", namespace, "exec", head, "-c", "ray-head", "--", "pkill")

    def label() -> str:
        pod = cluster.get("pods", namespace, head) or {}
        return str(pod["metadata"]["labels"]["ray.io/serve"])

    assert label() == "true"
    began = time.monotonic()
    cluster.kubectl(*where, "-STOP", "-f", "ProxyActor")
    cluster.wait(lambda: label() == "false", within=MINUTE, what="the label", namespace=namespace)
    print(f"taken from the Service after {time.monotonic() - began:.1f} s")
    cluster.kubectl(*where, "-CONT", "-f", "ProxyActor")
    cluster.wait(lambda: label() == "true", within=MINUTE, what="the label", namespace=namespace)


@pytest.mark.parametrize("location", ["HeadOnly", "Disabled"])
def test_where_requests_are_taken(cluster: clusters.Cluster, namespace: str, location: str) -> None:
    """Workers without a proxy of Serve are ready all the same, and get no requests."""
    cluster.apply(serve.code(), namespace)
    config = json.dumps({"proxy_location": location, **json.loads(serve.config())})
    cluster.apply(serve.ray_service(serveConfigV2=config), namespace)
    serve.wait_condition(cluster, namespace, "ApplicationsRunning")
    serve.wait_condition(cluster, namespace, "RayClusterReady")
    if location == "HeadOnly":
        name = serve.wait_serving(cluster, namespace)
        head = cluster.get("pods", namespace, ray.head(cluster, namespace, name))
        assert head is not None
        found = serve.endpoints(cluster, namespace, f"{serve.NAME}-serve-svc")
        assert found == {head["metadata"]["uid"]}


@pytest.mark.parametrize("image", [ray.IMAGE, NEW_RAY])
def test_on_both_versions_with_tokens(
    cluster: clusters.Cluster, namespace: str, image: str
) -> None:
    """Scenario 15, on the Ray that knows tokens; a change in place and a new cluster on both."""
    cluster.apply(serve.code(), namespace)
    tokens: dict[str, Any] = {"authOptions": {"mode": "token"}} if image == NEW_RAY else {}
    config = serve.cluster_config(image=image, workers=1, **tokens)
    began = time.monotonic()
    cluster.apply(serve.ray_service(rayClusterConfig=config), namespace)
    old = serve.wait_serving(cluster, namespace)
    print(f"{image} serves after {time.monotonic() - began:.1f} s")
    serve.change(cluster, namespace, serveConfigV2=serve.config("b"))
    assert serve.wait_serving(cluster, namespace) == old
    assert serve.answers(cluster, namespace) == "b/1"
    config = serve.cluster_config("2", image=image, workers=1, **tokens)
    serve.change(cluster, namespace, rayClusterConfig=config)
    assert serve.wait_serving(cluster, namespace) != old
    assert serve.answers(cluster, namespace) == "b/2"


def test_behind_haproxy(cluster: clusters.Cluster, namespace: str) -> None:
    """What samples for many requests a second turn on; only the newest Ray has it."""
    cluster.apply(serve.code(), namespace)
    made = functools.partial(
        serve.cluster_config, image=NEW_RAY, env={"RAY_SERVE_ENABLE_HA_PROXY": "1"}
    )
    cluster.apply(serve.ray_service(rayClusterConfig=made()), namespace)
    old = serve.wait_serving(cluster, namespace)
    head = ray.head(cluster, namespace, old)
    where = ("-n", namespace, "exec", head, "-c", "ray-head", "--")
    assert "haproxy" in cluster.kubectl(*where, "ps", "-eo", "comm")
    service = f"{serve.NAME}-serve-svc"
    assert len(serve.endpoints(cluster, namespace, service)) == 2
    with serve.load(cluster, namespace, URL) as load:
        load.wait(10)
        serve.change(cluster, namespace, serveConfigV2=serve.config("b"))
        assert serve.wait_serving(cluster, namespace) == old
        serve.change(cluster, namespace, rayClusterConfig=made("2"))
        assert serve.wait_serving(cluster, namespace) != old
        answers = load.wait(20)
    print(serve.summary(answers))
    assert serve.summary(answers)["failed"] == 0
    assert serve.answers(cluster, namespace) == "b/2"


def test_through_the_api_server(operator: operators.Operator, namespace: str) -> None:
    """`--use-kubernetes-proxy`: neither heads nor proxies need be reachable from the operator."""
    cluster = operator.cluster
    cluster.apply(serve.code(), namespace)
    with kills.reinstalled(operator, {"useKubernetesProxy": True}):
        config = serve.cluster_config(image=NEW_RAY, workers=0, authOptions={"mode": "token"})
        cluster.apply(serve.ray_service(rayClusterConfig=config), namespace)
        serve.wait_serving(cluster, namespace)


@pytest.mark.timeout(2400)
def test_an_operator_killed_after_any_write_of_a_start_makes_one_cluster(
    operator: operators.Operator, namespace: str
) -> None:
    cluster = operator.cluster
    cluster.apply(serve.code(), namespace)
    config = serve.cluster_config(workers=0)
    with kills.killed_after_each_write(operator, {}):
        for k in range(1, 40):
            name = f"kill-{k:02}"
            cluster.apply(serve.ray_service(name, rayClusterConfig=config), namespace)
            found = serve.wait_serving(cluster, namespace, name)
            made = cluster.list("rayclusters", namespace)
            assert [each["metadata"]["name"] for each in made] == [found]
            cluster.kubectl("-n", namespace, "delete", "rayservice", name, "--timeout=120s")
            if f"killed after write {k}\n" not in operator.log():
                break
        else:
            raise AssertionError("a start has no end of writes")
    print(f"killed after each of {k - 1} writes")
    assert k > 8  # finalizer, name, cluster, notes, label, Services, statuses


SUM_UP = """
import json, urllib.request
text = "Pods run containers. A Service leads to ready Pods. Ready means that probes pass."
request = urllib.request.Request(
    "http://rayservice-text-ml-serve-svc:8000/summarize",
    json.dumps({"text": text}).encode(),
    {"Content-Type": "application/json"},
)
print(urllib.request.urlopen(request, timeout=60).read().decode())
"""


def test_a_sample_sums_a_text_up(cluster: clusters.Cluster, namespace: str) -> None:
    cluster.apply(samples.FOLDER / "ray-service.text-ml.yaml", namespace)
    name = serve.wait_serving(cluster, namespace, "rayservice-text-ml")
    said = json.loads(ray.python(cluster, namespace, name, SUM_UP))
    assert said == {
        "summary": "A Service leads to ready Pods.",
        "keywords": ["pods", "ready", "containers"],
    }
    apps = serve.status(cluster, namespace, "rayservice-text-ml")["activeServiceStatus"]
    (app,) = apps["applicationStatuses"].values()
    assert app["serveDeploymentStatuses"].keys() == {"Summarizer", "Keywords"}


@pytest.mark.parametrize("sample", samples.runnable("ray-service"), ids=lambda sample: sample.name)
def test_a_sample_serves(cluster: clusters.Cluster, namespace: str, sample: Path) -> None:
    """Scenario 21."""
    cluster.apply(sample, namespace)
    (service,) = cluster.list("rayservices", namespace)
    name = service["metadata"]["name"]
    serve.wait_serving(cluster, namespace, name)
    status = serve.status(cluster, namespace, name)
    assert status["serviceStatus"] == "Running"
    assert status["numServeEndpoints"] > 0
    apps = status["activeServiceStatus"]["applicationStatuses"]
    assert {each["status"] for each in apps.values()} == {"RUNNING"}
    if sample.name not in ASKED_ELSEWHERE:
        host = SERVICES.get(sample.name, f"{name}-serve-svc")
        port = PORTS.get(sample.name, 8000)
        said = serve.answers(cluster, namespace, name, url=f"http://{host}:{port}/")
        assert said.startswith("hello from ")
    if "high-availability" in sample.name:
        cluster.wait(
            lambda: serve.status(cluster, namespace, name)["numServeEndpoints"] == 3,
            within=2 * MINUTE,
            what="all three nodes taking requests",
            namespace=namespace,
        )
