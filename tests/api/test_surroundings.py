"""What a cluster depends on and doesn't own, at a real API server: it comes, lacks, and differs."""

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.api import operators
from tests.support import cluster as clusters
from tests.support import openshift
from tests.support.rulebook import example

SOON = timedelta(seconds=60)
FT = "spec/gcsFaultToleranceOptions"
HEAD = "spec/headGroupSpec"
HEAD_POD = f"{HEAD}/template/spec"
STRICT = {
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


@pytest.fixture(scope="module", autouse=True)
def operator(api: clusters.Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    log = tmp_path_factory.mktemp("operator") / "log"
    environment = {**os.environ, "RAYCLUSTER_DEFAULT_REQUEUE_SECONDS_ENV": "2"}
    gates = "--feature-gates=GCSFaultToleranceEmbeddedStorage=true"
    sidecar = "--autoscaler-default=sidecar"  # which has rights of its own
    with operators.running(api, log, gates, sidecar, environment=environment):
        yield


def make(api: clusters.Cluster, name: str, changes: dict[str, Any], **where: str) -> None:
    api.apply(example.manifest("RayCluster", changes, name=name), where.get("to", "default"))


def wait_for(
    api: clusters.Cluster, resource: str, name: str, namespace: str = "default"
) -> clusters.Json:
    return api.wait(
        lambda: api.get(resource, namespace, name),
        within=SOON,
        what=f"{resource}/{name}",
        namespace=namespace,
    )


def wait_gone(api: clusters.Cluster, resource: str, name: str) -> None:
    api.wait(
        lambda: api.get(resource, "default", name) is None,
        within=SOON,
        what=f"{resource}/{name} gone",
        namespace="default",
    )


def condition(
    api: clusters.Cluster, name: str, type_: str, reason: str, namespace: str = "default"
) -> str:
    """Wait until the condition has that reason; return its message."""

    def found() -> str:
        status = (api.get("rayclusters", namespace, name) or {}).get("status", {})
        return next(
            (
                each["message"]
                for each in status.get("conditions", ())
                if (each["type"], each["reason"]) == (type_, reason)
            ),
            "",
        )

    return api.wait(found, within=SOON, what=f"{type_}: {reason}", namespace=namespace)


def events(api: clusters.Cluster, about: str, reason: str) -> list[str]:
    return [
        each["message"]
        for each in api.list("events", "default")
        if each["reason"] == reason and each["involvedObject"]["name"] == about
    ]


def wait_events(api: clusters.Cluster, about: str, reason: str, count: int) -> list[str]:
    def found() -> list[str] | None:
        told = events(api, about, reason)
        return told if len(told) >= count else None

    told = api.wait(found, within=SOON, what=f"{count} {reason}", namespace="default")
    assert len(told) == count
    return told


def heads(api: clusters.Cluster, name: str, namespace: str = "default") -> list[clusters.Json]:
    return api.list("pods", namespace, labels=f"ray.io/cluster={name},ray.io/node-type=head")


def test_rays_autoscaler_may_do_what_it_does_and_drift_is_mended(api: clusters.Cluster) -> None:
    make(api, "scaled", example.V2)
    wait_for(api, "serviceaccounts", "scaled")
    wait_for(api, "rolebindings", "scaled")
    role = wait_for(api, "roles", "scaled")
    user = "system:serviceaccount:default:scaled"
    for question, answer in (
        (("patch", "raycluster/scaled"), "yes"),
        (("patch", "raycluster/another"), "no"),
        (("patch", "pods", "--subresource=resize"), "yes"),
        (("list", "pods"), "yes"),
        (("delete", "pods"), "no"),
    ):
        asked = ("auth", "can-i", *question, f"--as={user}", "-n", "default")
        said = api.kubectl(*asked) if answer == "yes" else refused(api, *asked)
        assert said.split()[-1] == answer, question

    # An older operator's Role lacked a rule.
    older = {"metadata": {"annotations": {"ray-operator.io/content-hash": "older"}}}
    api.patch("role", "default", "scaled", {**older, "rules": role["rules"][:1]})
    api.wait(
        lambda: wait_for(api, "roles", "scaled")["rules"] == role["rules"],
        within=SOON,
        what="the rules mended",
        namespace="default",
    )


def refused(api: clusters.Cluster, *arguments: str) -> str:
    """Run kubectl, which answers no with an exit code of 1."""
    with pytest.raises(clusters.CommandFailed) as raised:
        api.kubectl(*arguments)
    return str(raised.value).strip()


def test_an_account_of_the_user_is_waited_for(api: clusters.Cluster) -> None:
    make(api, "account", {**example.V2, f"{HEAD_POD}/serviceAccountName": "mine"})
    message = condition(api, "account", "RayClusterReady", "ObjectMissing")
    assert "ServiceAccount mine doesn't exist" in message
    wait_events(api, "account", "AutoscalerServiceAccountNotFound", 1)
    assert heads(api, "account") == []
    assert api.get("serviceaccounts", "default", "account") is None
    api.kubectl("create", "serviceaccount", "mine")
    api.wait(lambda: heads(api, "account"), within=SOON, what="the head", namespace="default")
    wait_events(api, "account", "AutoscalerServiceAccountNotFound", 1)


def test_the_dashboard_moves_from_an_ingress_to_a_route(api: clusters.Cluster) -> None:
    """Whether this is OpenShift is asked again and again, not only at the start."""
    make(api, "shown", {f"{HEAD}/enableIngress": True})
    wait_for(api, "ingresses", "shown-head-ingress")
    api.apply(openshift.ROUTES, "default")
    try:
        route = wait_for(api, "routes", "shown-head-route")
        assert route["spec"] == {
            "to": {"kind": "Service", "name": "shown-head-svc", "weight": 100},
            "port": {"targetPort": 8265},
            "wildcardPolicy": "None",
        }
        wait_gone(api, "ingresses", "shown-head-ingress")
        api.patch("rayclusters", "default", "shown", {"metadata": {"annotations": {"a": "b"}}})
        api.wait(
            lambda: (
                wait_for(api, "routes", "shown-head-route")["metadata"]["annotations"].get("a")
                == "b"
            ),
            within=SOON,
            what="the Route updated",
            namespace="default",
        )
        off = {"spec": {"headGroupSpec": {"enableIngress": False}}}
        api.patch("rayclusters", "default", "shown", off)
        wait_gone(api, "routes", "shown-head-route")
    finally:
        api.kubectl("delete", "crd", "routes.route.openshift.io")


def storage(**fields: Any) -> dict[str, Any]:
    return {FT: {"backend": "rocksdb", **({"storage": fields} if fields else {})}}


def bind(api: clusters.Cluster, name: str) -> None:
    """Do what a provisioner and the volume controller do."""
    bound = {"status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}}
    api.patch("pvc", "default", name, bound, subresource="status")


def size(api: clusters.Cluster, name: str) -> str:
    found = wait_for(api, "persistentvolumeclaims", name)
    return str(found["spec"]["resources"]["requests"]["storage"])


def change(api: clusters.Cluster, name: str, **fields: Any) -> None:
    ft = {"backend": "rocksdb", "storage": fields}
    api.patch("rayclusters", "default", name, {"spec": {"gcsFaultToleranceOptions": ft}})


@pytest.mark.parametrize("grows", [True, False])
def test_a_claim_grows_if_its_class_allows_it(api: clusters.Cluster, grows: bool) -> None:
    name = f"grows-{str(grows).lower()}"
    class_ = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": "example.com/none",
        "allowVolumeExpansion": grows,
    }
    api.apply(class_, "default")
    make(api, name, storage(size="1Gi", storageClassName=name))
    claim = f"{name}-gcs-pvc"
    wait_for(api, "persistentvolumeclaims", claim)
    bind(api, claim)
    change(api, name, size="2Gi")
    if grows:
        api.wait(lambda: size(api, claim) == "2Gi", within=SOON, what="growth", namespace="default")
        assert events(api, name, "FailedToCreatePVC") == []
    else:
        (told,) = wait_events(api, name, "FailedToCreatePVC", 1)
        assert "its storage class doesn't allow growth" in told
        assert size(api, claim) == "1Gi"
        # Later passes don't tell it again; a new generation does.
        change(api, name, size="3Gi")
        wait_events(api, name, "FailedToCreatePVC", 2)


def test_a_claim_stays_or_goes_with_its_cluster(api: clusters.Cluster) -> None:
    make(api, "kept", storage(deletionPolicy="Retain"))
    claim = wait_for(api, "persistentvolumeclaims", "kept-gcs-pvc")
    assert "ownerReferences" not in claim["metadata"]

    def owners() -> list[str]:
        found = wait_for(api, "persistentvolumeclaims", "kept-gcs-pvc")
        return [each["name"] for each in found["metadata"].get("ownerReferences", ())]

    for policy, expected in (("DeleteWithCluster", ["kept"]), ("Retain", [])):
        change(api, "kept", deletionPolicy=policy)
        api.wait(
            lambda wanted=expected: owners() == wanted,  # type: ignore[misc]
            within=SOON,
            what=f"owners {expected}",
            namespace="default",
        )


def test_a_claim_of_the_user_is_missed_once(api: clusters.Cluster) -> None:
    make(api, "own", storage(claimName="mine"))
    message = condition(api, "own", "RayClusterReady", "ObjectMissing")
    assert "PersistentVolumeClaim mine doesn't exist" in message
    (head,) = api.wait(lambda: heads(api, "own"), within=SOON, what="head", namespace="default")
    volume = {"name": "gcs-storage", "persistentVolumeClaim": {"claimName": "mine"}}
    assert volume in head["spec"]["volumes"]
    wait_events(api, "own", "FailedToCreatePVC", 1)
    assert api.get("persistentvolumeclaims", "default", "own-gcs-pvc") is None


def test_pods_run_under_pod_security_restricted(api: clusters.Cluster) -> None:
    """What the operator adds asks for no more than what the user's container does."""
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": "strict",
            "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
        },
    }
    api.kubectl("apply", "-f", "-", stdin=json.dumps(namespace))
    make(api, "loose", {}, to="strict")
    message = condition(api, "loose", "RayClusterReady", "PodSecurityViolated", "strict")
    assert 'violates PodSecurity "restricted' in message
    assert "runAsNonRoot: true" in message
    assert heads(api, "loose", "strict") == []

    changes = {
        **example.V2,
        "spec/authOptions": {"mode": "token"},
        f"{HEAD_POD}/containers/0/securityContext": STRICT,
        f"{example.GROUP}/template/spec/containers/0/securityContext": STRICT,
        f"{example.GROUP}/replicas": 1,
    }
    make(api, "tight", changes, to="strict")
    pods = api.wait(
        lambda: (
            found
            if len(found := api.list("pods", "strict", labels="ray.io/cluster=tight")) == 2
            else None
        ),
        within=SOON,
        what="head and worker",
        namespace="strict",
    )
    containers = {
        each["name"]
        for pod in pods
        for each in (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"])
    }
    assert containers == {"ray", "autoscaler", "wait-gcs-ready"}
    condition(api, "tight", "RayClusterReady", "PodsNotReady", "strict")
    status = (api.get("rayclusters", "strict", "tight") or {})["status"]
    assert "ReplicaFailure" not in {each["type"] for each in status["conditions"]}
