"""Getting finished images onto the native provider's nodes.

Owns imports into each node's containerd and the record of them. Deliberately builds nothing.
Invariant: an image is imported into a node once; again only when its digest changed or the node
lost it.
"""

import concurrent.futures
import json
import subprocess
import threading

from localcluster import catalog, commands, errors, images, native, paths, progress, topology




def load(cluster: paths.Cluster, wanted: tuple[catalog.Image, ...]) -> None:
    """Import what the nodes lack; all nodes at once, one image after the other."""
    digests = images.layout().digests()
    prefix = native.inside(cluster)
    nodes = topology.nodes()
    held = {node: on_node(cluster, node, prefix) for node in nodes}
    for image in wanted:
        lacking = [
            node
            for node in nodes
            if image.on_nodes
            and not _is_loaded(cluster, node, image.reference, digests, held[node])
        ]
        if lacking:
            size = images.layout().size(image.reference) / 1e6
            title = f"Loading {image.reference} ({size:.0f} MB) into {len(lacking)} nodes"
            with progress.step(title):
                _import_into(cluster, lacking, image.reference, digests[image.reference], prefix)


def on_node(
    cluster: paths.Cluster, node: topology.Node, prefix: tuple[str, ...]
) -> dict[str, str]:
    """Map the images that a node's containerd has to their digests there."""
    listed = commands.run(*prefix, *_ctr(node), "images", "list")
    rows = [line.split() for line in listed.splitlines()[1:]]
    return {row[0]: row[2] for row in rows if len(row) > 2}


def _ctr(node: topology.Node) -> tuple[str, ...]:
    return ("ctr", "--address", node.containerd_socket, "--namespace", "k8s.io")


def _is_loaded(
    cluster: paths.Cluster,
    node: topology.Node,
    reference: str,
    digests: dict[str, str],
    held: dict[str, str],
) -> bool:
    """Compare with the record: only an import that ended makes an entry there."""
    record = _record(cluster, node)
    wanted = digests[reference]
    return held.get(reference) == wanted and record.get(reference) == wanted


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
    process = subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=commands.die_with_parent,
    )
    assert process.stdin is not None and process.stdout is not None
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
