"""What tells a clean host from one with leftovers."""

import os
import pathlib
import subprocess
import sys

import pytest

from localcluster import cgroups, paths, processes, selftest

_MOUNTINFO = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
90 22 0:40 / /home/me/.cache/lc/clusters/ray/run/root/run rw - tmpfs tmpfs rw
91 22 0:41 / /home/me/.cache/lc/clusters/rayon rw - tmpfs tmpfs rw
92 22 0:42 / /sys rw - sysfs sysfs rw
"""


def test_mounts_beneath_a_folder_are_found_and_its_namesakes_are_not() -> None:
    folder = pathlib.Path("/home/me/.cache/lc/clusters/ray")
    found = selftest.mounts_beneath(_MOUNTINFO, folder)
    assert found == ["/home/me/.cache/lc/clusters/ray/run/root/run"]


def test_a_process_is_identified_by_start_time_too() -> None:
    mine = processes.identity(os.getpid())
    assert mine is not None
    assert processes.is_alive(mine)
    assert not processes.is_alive(mine._replace(started=mine.started + 1))


def test_a_process_that_ended_has_no_identity() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    assert processes.identity(int(done.stdout)) is None


def _v1(root: pathlib.Path) -> None:
    for controller in ("cpu", "cpuset"):
        (root / controller).mkdir()
        (root / controller / "cgroup.procs").touch()
    (root / "cpuset" / "cpuset.cpus").write_text("0-1\n")
    (root / "cpuset" / "cpuset.mems").write_text("0\n")
    (root / "cpuacct").symlink_to("cpu")


def test_v1_hierarchies_are_listed_once(tmp_path: pathlib.Path) -> None:
    _v1(tmp_path)
    assert cgroups.hierarchies(tmp_path) == (tmp_path / "cpu", tmp_path / "cpuset")


def test_the_unified_hierarchy_is_one(tmp_path: pathlib.Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    assert cgroups.hierarchies(tmp_path) == (tmp_path,)


def test_empty_groups_of_the_cluster_alone_are_removed(tmp_path: pathlib.Path) -> None:
    _v1(tmp_path)
    mine, other = "clusters-ray", "clusters-rayon"
    (tmp_path / "cpu" / mine / "node-1" / "pod").mkdir(parents=True)
    (tmp_path / "cpu" / other).mkdir()
    assert cgroups.present(mine, tmp_path) == [tmp_path / "cpu" / mine]
    assert cgroups.remove(mine, tmp_path)
    assert cgroups.present(mine, tmp_path) == []
    assert cgroups.present(other, tmp_path) != []


def test_clusters_of_one_name_in_two_caches_share_no_control_group(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    groups = set()
    for cache in ("/a", "/b"):
        monkeypatch.setenv("XDG_CACHE_HOME", cache)
        groups.add(paths.Cluster("ray").control_group)
    assert len(groups) == 2


def test_state_and_images_of_a_cluster_lie_apart() -> None:
    cluster = paths.Cluster("ray")
    assert not cluster.containerd_root("node-1").is_relative_to(cluster.run)
    assert cluster.kubelet_root("node-1").is_relative_to(cluster.run)
    assert cluster.kubeconfig.is_relative_to(cluster.run)
