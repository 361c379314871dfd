"""The chart in place of KubeRay's release, on a real API server: what Helm and the server allow."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import apiserver, charts
from tests.support import cluster as clusters
from tests.support import programs as built_programs

OURS = charts.ROOT / "charts/ray-operator"
KUBERAYS = Path(__file__).parents[1] / "support/kuberay"
RELEASE = "kuberay-operator"


@pytest.fixture(scope="session")
def programs() -> Path:
    """Return the folder of the Kubernetes programs and Helm."""
    return built_programs.built("helm", "kubernetes")


@pytest.fixture
def api(programs: Path) -> Iterator[clusters.Cluster]:
    """Run an API server with KubeRay's release in the namespace `kuberay`."""
    with apiserver.running(programs) as server:
        server.helm("install", RELEASE, str(KUBERAYS), "--namespace=kuberay", "--create-namespace")
        apiserver.install_crds(server)
        yield server


def test_it_takes_the_place_of_kuberay_s_release(api: clusters.Cluster) -> None:
    before = api.get("deployments", "kuberay", RELEASE)
    assert before is not None
    api.helm("upgrade", RELEASE, str(OURS), "--namespace=kuberay", "--reset-values")
    after = api.get("deployments", "kuberay", RELEASE)
    assert after is not None
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    (container,) = after["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "ray-operator:dev"
    assert container["command"] == ["ray-operator"]
    role = api.kubectl("get", "clusterrole", RELEASE, "-o", "jsonpath={.metadata.labels}")
    assert '"helm.sh/chart":"ray-operator-' in role
    api.helm("rollback", RELEASE, "--namespace=kuberay")
    back = api.get("deployments", "kuberay", RELEASE)
    assert back is not None
    assert back["metadata"]["uid"] == before["metadata"]["uid"]
    assert back["spec"]["template"] == before["spec"]["template"]


def test_beside_it_it_is_refused_until_it_may_take_what_is_there(api: clusters.Cluster) -> None:
    install = ("install", RELEASE, str(OURS), "--namespace=ray-system", "--create-namespace")
    with pytest.raises(clusters.CommandFailed, match="invalid ownership metadata"):
        api.helm(*install, "--skip-crds")
    api.kubectl("delete", "deployment", RELEASE, "--namespace=kuberay")
    api.helm(*install, "--skip-crds", "--take-ownership")
    bound = api.kubectl(
        *("get", "clusterrolebinding", RELEASE, "-o", "jsonpath={.subjects[*].namespace}")
    )
    assert bound == "ray-system"


def test_all_that_is_optional_is_valid(programs: Path, api: clusters.Cluster) -> None:
    rendered = charts.Helm(programs, OURS).render(charts.EVERYTHING, namespace="kuberay")
    known = [each for each in rendered if "monitoring.coreos.com" not in each["apiVersion"]]
    assert len(rendered) - len(known) == 1  # the ServiceMonitor, whose CRD isn't there
    items = {"apiVersion": "v1", "kind": "List", "items": known}
    flags = ("--dry-run=server", "--validate=strict", "--force-conflicts", "--server-side")
    told = api.kubectl("apply", *flags, "-f", "-", stdin=json.dumps(items))
    assert told.count("serverside-applied (server dry run)") == len(known)
