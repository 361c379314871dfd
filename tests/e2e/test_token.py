"""Token authentication with real Ray: no token, no answer."""

import base64

import pytest

from tests.support import cluster as clusters
from tests.support import operators, ray

NAME = "guarded"
IMAGE = "rayproject/ray:2.60.0"
ASK = """
import sys, urllib.error, urllib.request
headers = {"Authorization": f"Bearer {sys.argv[2]}"} if sys.argv[2:] else {}
try:
    print(urllib.request.urlopen(urllib.request.Request(sys.argv[1], headers=headers)).status)
except urllib.error.HTTPError as refused:
    print(refused.code)
"""


def of_now(template: clusters.Json) -> clusters.Json:
    template["spec"]["containers"][0]["image"] = IMAGE
    return template


@pytest.mark.full
def test_only_who_has_the_token_is_answered(
    cluster: clusters.Cluster, operator: operators.Operator, namespace: str
) -> None:
    del operator  # it only has to be there
    head = {"rayStartParams": {}, "template": of_now(ray.pod_template("ray-head"))}
    group = ray.worker_group(template=of_now(ray.pod_template("ray-worker")))
    auth = {"mode": "token"}
    cluster.apply(
        ray.ray_cluster(NAME, head=head, groups=[group], rayVersion="2.60.0", authOptions=auth),
        namespace,
    )
    ray.wait_ready(cluster, namespace, NAME, workers=1)
    ray.wait_tasks(cluster, namespace, NAME)  # the worker has joined, and works

    pod = ray.head(cluster, namespace, NAME)
    inside = ("-n", namespace, "exec", "-i", pod, "-c", "ray-head", "--")
    url = f"http://{NAME}-head-svc.{namespace}.svc.cluster.local:8265"
    secret = cluster.get("secrets", namespace, NAME)
    assert secret is not None
    token = base64.b64decode(secret["data"]["auth_token"]).decode()

    def status(*given: str) -> str:
        at = f"{url}/api/jobs/"
        return cluster.kubectl(*inside, "python", "-", at, *given, stdin=ASK).strip()

    assert status() == "401"
    assert status("wrong") in {"401", "403"}
    assert status(token) == "200"

    submit = ("ray", "job", "submit", "--address", url, "--", "echo", "it", "ran")
    bare = ("env", "-u", "RAY_AUTH_TOKEN", "-u", "RAY_AUTH_MODE")
    with pytest.raises(clusters.CommandFailed, match=r"(?i)401|unauthenticated|token"):
        cluster.kubectl(*inside, *bare, *submit)
    said = cluster.kubectl(*inside, *submit)
    assert "it ran" in said
    assert "succeeded" in said
