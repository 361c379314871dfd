"""The cluster's shape on machines of different sizes."""

import ipaddress

import pytest

from localcluster import topology


@pytest.mark.parametrize(("cpus", "count"), [(1, 6), (2, 3), (3, 3), (4, 3), (64, 3)])
def test_there_are_three_nodes_or_as_many_as_six_cpus_take(cpus: int, count: int) -> None:
    nodes = topology.nodes(cpus)
    assert len(nodes) == count
    assert len(nodes) * cpus >= topology.MIN_CPUS


def test_nodes_share_no_address_and_no_pod_range() -> None:
    nodes = topology.nodes(1)
    addresses = {node.address for node in nodes} | {topology.API_ADDRESS}
    ranges = [ipaddress.IPv4Network(node.pod_cidr) for node in nodes]
    assert len(addresses) == len(nodes) + 1
    assert all(r.subnet_of(ipaddress.IPv4Network(topology.POD_CIDR)) for r in ranges)
    assert len(set(ranges)) == len(nodes)
