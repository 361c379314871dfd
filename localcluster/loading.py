"""Getting finished images onto the native provider's nodes.

Owns imports into each node's containerd and the record of them. Deliberately builds nothing.
Invariant: an image is imported into a node once; again only when its digest changed or the node
lost it.
"""

import concurrent.futures
import json
import subprocess
import threading

from localcluster import catalog, commands, errors, images, lifecycle, paths, progress, topology


def load(cluster: paths.Cluster, wanted: tuple[catalog.Image, ...]) -> None:
    """Import what the nodes lack; all nodes at once, one image after the other."""
    digests = images.layout().digests()
    prefix = lifecycle.inside(cluster)
    held = {node: loaded(cluster, node, prefix) for node in topology.nodes()}
    for image in wanted:
        reference = image.reference
        lacking = [node for node in held if held[node].get(reference) != digests.get(reference)]
        if image.on_nodes and lacking:
            size = images.layout().size(reference) / 1e6
            title = f"Loading {reference} ({size:.0f} MB compressed) into {len(lacking)} nodes"
            with progress.step(title):
                _import_into(cluster, lacking, reference, digests[reference], prefix)


def loaded(cluster: paths.Cluster, node: topology.Node, prefix: tuple[str, ...]) -> dict[str, str]:
    """Map the images that a node has to the digests they were imported with.

    Only an import that ended is on record; what containerd lost since counts as not loaded.
    """
    there = commands.run(*prefix, *_ctr(node), "images", "list", "-q").split()
    record = _record(cluster, node)
    return {reference: record[reference] for reference in there if reference in record}


def _ctr(node: topology.Node) -> tuple[str, ...]:
    return ("ctr", "--address", node.containerd_socket, "--namespace", "k8s.io")


def _import_into(
    cluster: paths.Cluster,
    nodes: list[topology.Node],
    reference: str,
    digest: str,
    prefix: tuple[str, ...],
) -> None:
    with concurrent.futures.ThreadPoolExecutor(len(nodes)) as pool:
        jobs = {pool.submit(_import, node, reference, prefix): node for node in nodes}
        for job in concurrent.futures.as_completed(jobs):
            job.result()
            _note(cluster, jobs[job], reference, digest)


def _import(node: topology.Node, reference: str, prefix: tuple[str, ...]) -> None:
    """Stream the image into `ctr images import`."""
    argv = [*prefix, *_ctr(node), "images", "import", "--digests=false", "-"]
    process = commands.start(*argv, stdin=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    collected: list[bytes] = []
    output = process.stdout
    reader = threading.Thread(target=lambda: collected.append(output.read()))
    reader.start()
    try:
        images.layout().write_tar(reference, process.stdin)
        process.stdin.close()
    except BrokenPipeError:
        pass  # its output says why
    code = process.wait()
    reader.join()
    if code != 0:
        text = b"".join(collected).decode(errors="replace")
        raise errors.LocalClusterError(commands.failure(argv, code, text))


def _record(cluster: paths.Cluster, node: topology.Node) -> dict[str, str]:
    try:
        record: dict[str, str] = json.loads(cluster.loaded_record(node.name).read_text())
    except (OSError, ValueError):
        return {}
    return record


def _note(cluster: paths.Cluster, node: topology.Node, reference: str, digest: str) -> None:
    target = cluster.loaded_record(node.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    partial.write_text(json.dumps({**_record(cluster, node), reference: digest}, indent=1))
    partial.replace(target)
