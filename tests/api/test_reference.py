"""What the reference takes and stores is taken and kept here, to the last field."""

from pathlib import Path

import pytest
import yaml

from tests.api.test_crds import contains
from tests.support import cluster as clusters
from tests.support.rulebook import example

GOLDEN = Path(__file__).parents[1] / "golden"
INPUTS = sorted(GOLDEN.glob("*.in.yaml"))
OUTPUTS = sorted(GOLDEN.glob("*.out.yaml"))


def resources(path: Path) -> list[example.Json]:
    """Return our resources in a file, as if they were to be made."""
    documents = [each for each in yaml.safe_load_all(path.read_text()) if each]
    found = [each for each in documents if each["apiVersion"].startswith("ray.io/")]
    for each in found:
        kept = {"name", "labels", "annotations"} & each["metadata"].keys()
        each["metadata"] = {key: each["metadata"][key] for key in kept}
    return found


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.stem)
def test_what_users_applied(api: clusters.Cluster, path: Path) -> None:
    found = resources(path)
    assert found
    for each in found:
        assert api.dry_run(each, namespace="default") == ""


@pytest.mark.parametrize("path", OUTPUTS, ids=lambda path: path.stem)
def test_what_it_stored(api: clusters.Cluster, path: Path) -> None:
    """Specs with the reference's defaults, and statuses, of clusters that jobs made too."""
    found = resources(path)
    assert found
    for each in found:
        plural = f"{each['kind'].lower()}s"
        at = f"/apis/{each['apiVersion']}/namespaces/default/{plural}"
        stored = api.dry_run_answer(at, each)
        assert contains(stored["spec"], each["spec"]) == []


@pytest.mark.parametrize("path", OUTPUTS, ids=lambda path: path.stem)
def test_statuses_it_wrote(api: clusters.Cluster, path: Path) -> None:
    for each in resources(path):
        name = each["metadata"]["name"] = f"{path.stem.partition('.')[0]}-{each['kind'].lower()}"
        status, plural = each.pop("status", {}), f"{each['kind'].lower()}s"
        api.apply(each, "default")
        api.patch(f"{plural}", "default", name, {"status": status}, subresource="status")
        found = api.get(plural, "default", name)
        assert found is not None
        assert contains(found["status"], status, "status") == []
