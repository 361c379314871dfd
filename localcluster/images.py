"""Building images.

Owns buildah, debootstrap and the record of what was built from which key. Deliberately knows no
node (`loading` does). Invariant: the record names an image with a key only after the finished image
is in the layout (or, for a mere parent, in buildah's storage); everything a build starts ends with
the launcher.
"""

import json
import os
import pathlib
import shutil

from localcluster import catalog, commands, machine, oci, paths, progress, toolchain

_STORAGE = "storage"
_RUNROOT = "runroot"
_MAX_LAYERS = 80


def folder() -> pathlib.Path:
    """Locate everything about images."""
    return paths.cache() / "images"


def layout() -> oci.Layout:
    """Give the store of finished images."""
    return oci.Layout(folder() / "layout")


def ensure(wanted: tuple[catalog.Image, ...]) -> None:
    """Build what isn't built from its present inputs, parents first."""
    for image in wanted:
        key = image.key()
        if not _is_current(image, key):
            if image.parent is not None:
                ensure((image.parent,))
            _build(image, key)


def _is_current(image: catalog.Image, key: str) -> bool:
    if _record().get(image.reference) != key:
        return False
    return not image.on_nodes or image.reference in layout().digests()


def _record() -> dict[str, str]:
    try:
        record: dict[str, str] = json.loads((folder() / "built.json").read_text())
    except (OSError, ValueError):
        return {}
    return record


def _note(image: catalog.Image, key: str) -> None:
    target = folder() / "built.json"
    partial = target.with_suffix(".partial")
    partial.write_text(json.dumps({**_record(), image.reference: key}, indent=1))
    partial.replace(target)


def _build(image: catalog.Image, key: str) -> None:
    for name in (_STORAGE, _RUNROOT):
        (folder() / name).mkdir(parents=True, exist_ok=True)
    scratch = folder() / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    with progress.step(f"Building image {image.reference}") as step:
        if image.program is not None:
            toolchain.build(image.program)
            shutil.copy2(image.program.binary, scratch)
        if image.parent is None and image.program is None:
            _bootstrap(scratch, step)
        _buildah(step, *_bud(image, context=image.context or scratch))
        if image.on_nodes:
            target = f"oci:{folder() / 'layout'}:{image.reference}"
            _buildah(step, "push", "--disable-compression", image.reference, target)
            layout().prune()
            _drop_old_layers(step)
        shutil.rmtree(scratch)
    _note(image, key)


def _drop_old_layers(step: progress.Step) -> None:
    """Forget the layers of former builds when there are many; the next build takes longer once."""
    if sum(1 for _ in (folder() / _STORAGE / "overlay").iterdir()) > _MAX_LAYERS:
        _buildah(step, "rmi", "--prune")


def _bootstrap(scratch: pathlib.Path, step: progress.Step) -> None:
    """Make Debian's root folder and pack it as `rootfs.tar`."""
    root = scratch / "rootfs"
    script = paths.PACKAGE / "containerfiles" / "debian.sh"
    commands.contained("sh", script, root, machine.debian_mirror(), step=step)
    machine.write_settings(root)
    tar = ("tar", "--sort=name", "--numeric-owner", "--exclude=./dev/*", "--exclude=./proc/*")
    commands.run(*tar, "-C", root, "-cf", scratch / "rootfs.tar", ".", step=step)
    shutil.rmtree(root)


def _bud(image: catalog.Image, *, context: pathlib.Path) -> list[str | os.PathLike[str]]:
    argv: list[str | os.PathLike[str]] = ["bud", "--layers", "--pull-never"]
    argv += ["--isolation", "chroot", "--format", "oci", "--file", image.recipe]
    if machine.CA_BUNDLE.exists():
        argv += ["--secret", f"id=ca-bundle,src={machine.CA_BUNDLE}"]
    for name, value in image.arguments:
        argv += ["--build-arg", f"{name}={value}"]
    return [*argv, "--tag", image.reference, context]


def _buildah(step: progress.Step, *argv: str | os.PathLike[str]) -> None:
    """Run buildah with a storage of our own and its run folder in memory.

    Mount counts that a killed build left in the run folder would confuse the next.
    """
    storage, runroot = folder() / _STORAGE, folder() / _RUNROOT
    script = 'mount -t tmpfs tmpfs "$1" && shift && exec buildah "$@"'
    options = ("--root", storage, "--runroot", runroot, "--storage-driver", "overlay")
    commands.contained("sh", "-c", script, "sh", runroot, *options, *argv, step=step)
