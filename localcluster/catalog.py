"""The images there are, and what each is made of.

Owns their references, recipes and keys. Deliberately builds nothing (`images` does). Invariant: an
image's key changes exactly when one of its inputs does, its parent's inputs included.
"""

import dataclasses
import pathlib

from localcluster import configs, machine, oci, paths, toolchain

_RECIPES = paths.PACKAGE / "containerfiles"
RAY_VERSIONS = ("2.46.0", "2.60.0")
_OPERATOR_SOURCES = (
    *("Dockerfile", ".dockerignore", "pyproject.toml", "uv.lock", "README.md", "LICENSE"),
    "operator/ray_operator",
)
_SUBMITTER_SOURCES = (".dockerignore", "operator/ray_operator/submitter.py")


@dataclasses.dataclass(frozen=True)
class Image:
    """One image.

    Attributes:
        reference: full name, as Pods spell it or as containerd completes it.
        group: what `--only` selects: `infra`, `ray` or `operator`.
        recipe: the Containerfile.
        context: folder that COPY and ADD read; None for the recipe's own, prepared by `images`.
        arguments: build arguments.
        program: a built program to copy into the context.
        parent: image that must be built before.
        on_nodes: whether nodes get it; otherwise it only is a parent.
        inputs: files and folders that the key hashes beside the recipe.
        extra: anything else that the key hashes.
    """

    reference: str
    group: str
    recipe: pathlib.Path
    context: pathlib.Path | None = None
    arguments: tuple[tuple[str, str], ...] = ()
    program: toolchain.Program | None = None
    parent: "Image | None" = None
    on_nodes: bool = True
    inputs: tuple[pathlib.Path, ...] = ()
    extra: tuple[str, ...] = ()

    def key(self) -> str:
        """Hash everything the image is made of."""
        parts = [self.reference, repr(self.arguments), *self.extra]
        parts += [self.parent.key() if self.parent else "", self.program_key()]
        contents = [_content(path) for path in (self.recipe, *self.inputs)]
        return oci.digest(*(part.encode() for part in parts), *contents)

    def program_key(self) -> str:
        """Give the key of the program inside; empty for none."""
        return self.program.key() if self.program else ""


def _content(path: pathlib.Path) -> bytes:
    """Hash a file or all files of a folder, with their names; compiled Python left out."""
    if path.is_file():
        return path.read_bytes()
    files = sorted(p for p in path.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    parts = [(str(p.relative_to(path)).encode(), p.read_bytes()) for p in files]
    return oci.digest(*(part for pair in parts for part in pair)).encode()


def debian() -> Image:
    """Describe the base of all others: Debian 12 with this machine's trust and pip settings."""
    return Image(
        "docker.io/library/debian:bookworm-slim",
        "infra",
        _RECIPES / "Scratch.debian",
        inputs=(_RECIPES / "debian.sh",),
        extra=(machine.debian_mirror(), *machine.settings_key()),
        on_nodes=False,
    )


def infrastructure() -> tuple[Image, ...]:
    """List what the cluster itself runs."""
    return (
        Image(configs.PAUSE_IMAGE, "infra", _RECIPES / "Scratch.pause", program=toolchain.PAUSE),
        Image(
            "localhost/coredns:local",
            "infra",
            _RECIPES / "Scratch.coredns",
            program=toolchain.COREDNS,
        ),
    )


def ray() -> tuple[Image, ...]:
    """List the Ray images and what Ray needs beside itself, named as the public ones."""
    base = Image(
        "localhost/ray-base:local", "ray", _RECIPES / "Ray.base", parent=debian(), on_nodes=False
    )
    redis = Image("docker.io/library/redis:7", "ray", _RECIPES / "Redis", parent=debian())
    versions = (
        Image(
            f"docker.io/rayproject/ray:{version}",
            "ray",
            _RECIPES / "Ray",
            arguments=(("RAY_VERSION", version),),
            parent=base,
        )
        for version in RAY_VERSIONS
    )
    return (*versions, redis)


def operator(repository: pathlib.Path = paths.REPOSITORY) -> tuple[Image, ...]:
    """List the operator's image and the submitter's, those that the repository has a recipe of."""
    return tuple(
        Image(
            f"docker.io/library/{name}:dev",
            "operator",
            repository / recipe,
            context=repository,
            parent=debian(),
            inputs=tuple(path for each in sources if (path := repository / each).exists()),
        )
        for name, recipe, sources in (
            ("ray-operator", "Dockerfile", _OPERATOR_SOURCES),
            ("ray-operator-submitter", "Dockerfile.submitter", _SUBMITTER_SOURCES),
        )
        if (repository / recipe).exists()
    )


def select(only: str | None) -> tuple[Image, ...]:
    """List the images of one group, or of all for None."""
    everything = (*infrastructure(), *operator(), *ray())
    return tuple(image for image in everything if only in (None, image.group))
