"""What users of KubeRay have in their files: a server takes it, and nothing is said of it."""

from pathlib import Path

from ray_operator import features, offline
from tests.support import cluster as clusters

FILE = Path(__file__).with_name("typical.yaml")


def test_files_of_users_are_fine(api: clusters.Cluster) -> None:
    count, findings = offline.check(FILE, features.DEFAULT)
    assert list(map(str, findings)) == []
    api.kubectl("create", "namespace", "typical")  # in which no other test has left any
    made = api.kubectl("-n", "typical", "create", "--dry-run=server", "-f", str(FILE))
    assert made.count("created") == count > 0
