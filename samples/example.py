"""Ten rounds of tasks that call tasks, on all nodes: python example.py NODES."""

import collections
import socket
import sys
import time

import ray

ray.init()


@ray.remote(scheduling_strategy="SPREAD")
def visit(visited: tuple[str, ...]) -> tuple[str, ...]:
    """Add this node's name to those that were visited before."""
    time.sleep(0.01)
    return (*visited, socket.gethostname())


wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 4
while (found := sum(node["Alive"] for node in ray.nodes())) < wanted:
    print(f"{found} of {wanted} nodes are there")
    time.sleep(1)
for iteration in range(10):
    pairs = ray.get([visit.remote(visit.remote(())) for _ in range(100)])
    print(f"Iteration {iteration}: {collections.Counter(pairs)}", flush=True)
print("Success!")
