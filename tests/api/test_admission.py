"""The admission webhook, called by a real API server."""

import base64
import json
import os
from collections.abc import Iterator
from datetime import timedelta

import pytest

from localcluster import pki
from ray_operator.api.rules import Rule
from tests.api import operators
from tests.support import apiserver, rulebook
from tests.support import cluster as clusters
from tests.support.rulebook import example


@pytest.fixture(scope="module")
def stored(api: clusters.Cluster) -> str:
    """Return the name of a RayJob with an error, which someone holds by a finalizer."""
    manifest = example.manifest("RayJob", {"spec/runtimeEnvYAML": "foo"}, name="stored")
    manifest["metadata"]["finalizers"] = ["example.com/hold"]
    api.apply(manifest, "default")
    return "stored"


@pytest.fixture(scope="module")
def webhook(
    api: clusters.Cluster, stored: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Run the operator with its webhook, registered once that object is there."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = pki.create(folder, ())
    authority.issue("tls", user="webhook", hosts=("127.0.0.1",))
    (port,) = apiserver.free_ports(1)
    flags = (f"--webhook-bind-address=127.0.0.1:{port}", f"--webhook-cert-dir={folder}")
    environment = {**os.environ, "ENABLE_WEBHOOKS": "true"}
    with operators.running(api, folder / "log", *flags, environment=environment):
        api.apply(_configuration(port, authority.certificate), "default")
        try:
            # The API server learns of webhooks a moment later.
            api.wait(
                lambda: (
                    example.NO_RESOURCES_SAID
                    in api.dry_run(
                        example.manifest("RayCluster", example.NO_RESOURCES), namespace="default"
                    )
                ),
                within=timedelta(seconds=60),
                what="a refusal by the webhook",
                namespace="default",
            )
            yield
        finally:
            print((folder / "log").read_text())
            api.kubectl("delete", "validatingwebhookconfiguration", "ray")


def _configuration(port: int, authority: bytes) -> example.Json:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "ray"},
        "webhooks": [
            {
                "name": f"v{kind.lower()}.kb.io",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "failurePolicy": "Fail",
                "clientConfig": {
                    "url": f"https://127.0.0.1:{port}/validate-ray-io-v1-{kind.lower()}",
                    "caBundle": base64.b64encode(authority).decode(),
                },
                "rules": [
                    {
                        "apiGroups": ["ray.io"],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": [f"{kind.lower()}s"],
                    }
                ],
            }
            for kind in example.PLAIN
        ],
    }


PYTHON_ONLY = [
    case
    for case in rulebook.CASES
    if not case.server
    and not case.warns
    and case.gates == example.ALL
    and case.rule not in {Rule.TLS, Rule.HISTORY_SERVER, Rule.NETWORK_POLICY}  # gates stay off
]


@pytest.mark.usefixtures("webhook")
@pytest.mark.parametrize("case", PYTHON_ONLY, ids=lambda case: case.title)
def test_what_the_crd_can_not_tell_is_refused_too(
    api: clusters.Cluster, case: example.Case
) -> None:
    assert api.dry_run(example.manifest(case.kind, case.good), namespace="default") == ""
    refusal = api.dry_run(example.manifest(case.kind, case.bad), namespace="default")
    assert case.says in refusal


@pytest.mark.usefixtures("webhook")
def test_warnings_are_shown_and_nothing_is_refused(api: clusters.Cluster) -> None:
    manifest = example.manifest("RayService", {"spec/serveConfigV2": ""}, name="warned")
    done = api.run("sh", "-c", "kubectl apply -f - 2>&1", stdin=json.dumps(manifest))
    assert "Warning: spec.serveConfigV2: lists no applications" in done
    assert "created" in done


@pytest.mark.usefixtures("webhook")
def test_an_object_stored_with_errors_can_be_changed_and_deleted(
    api: clusters.Cluster, stored: str
) -> None:
    api.kubectl("label", "rayjob", stored, "changed=yes")
    worse = {"spec": {"entrypointResources": "foo"}}
    with pytest.raises(clusters.CommandFailed, match="entrypointResources: foo is no JSON object"):
        api.patch("rayjobs", "default", stored, worse)
    api.kubectl("delete", "rayjob", stored, "--wait=false")
    api.patch("rayjobs", "default", stored, {"metadata": {"finalizers": None}})
    assert api.get("rayjobs", "default", stored) is None
