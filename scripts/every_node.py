"""Run one Ray task on every node of the cluster; print `<nonce> <node id> <host name>` for each.

Runs inside the cluster: `python every_node.py NONCE`.
"""

import socket
import sys

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


@ray.remote(num_cpus=0)  # type: ignore[untyped-decorator]  # Ray is not installed here
def whereabouts(nonce: str) -> str:
    """Tell where this task runs."""
    return f"{nonce} {ray.get_runtime_context().get_node_id()} {socket.gethostname()}"


ray.init(address="auto", log_to_driver=False)
print(
    *ray.get(
        [
            whereabouts.options(
                scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            ).remote(sys.argv[1])
            for node in ray.nodes()
            if node["Alive"]
        ],
        timeout=60,
    ),
    sep="\n",
)
