"""Builds our container images, loads them into a Kind cluster, and prints their names as JSON.

    python3 kind/build_images.py                                 # all three: operator, gateway, model-server
    python3 kind/build_images.py --load imageclassifier gateway  # one, and into the nodes of that cluster
    python3 kind/build_images.py --models DIRECTORY --load imageclassifier model-server
    python3 kind/build_images.py --load imageclassifier training # for examples/training-job.yaml

Standard output is one JSON object, name -> image, such as {"gateway":
"imageclassifier/gateway:0a1b2c3d4e5f"}; a tag is a hash of the contents of the image. Each also has the
readable name `imageclassifier/gateway:dev`, which moves to the newest. With --models, each
DIRECTORY/NAME/VERSION/saved_model.pb becomes an image, known as NAME:VERSION.

The model server is the stock image of TensorFlow Serving where its registry answers, else ours
(model_server). Environment: BASE_IMAGE, what ours are built on; SERVING_IMAGE, the model server to use.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path, PurePosixPath

from images import docker, load_into_nodes, packages, recipes
from images.recipes import Program
from images.trees import File, files_below, installed_files
from laptop import places, registry
from laptop.base_image import choose, ensure_base
from laptop.command_line import Parser
from laptop.progress import StepFailed, step

STOCK_SERVING = "tensorflow/serving:2.19.1"


def build_base() -> str:
    """Build the base of all our images if it is missing; returns its name."""
    below = ensure_base()
    below_id = docker.image_id(below)
    if below_id is None:
        raise StepFailed(f"The base image {below} does not exist in the Docker Engine. Check BASE_IMAGE.")
    wanted = recipes.base(below, below_id)
    if docker.image_id(wanted.reference) is None:
        with step("Build the base of our images"):
            docker.build(wanted)
    return wanted.reference


def build_program(program: Program, base: str) -> str:
    """Build the layers of a program's image that have changed; returns the name of the image."""
    below = recipes.dependencies_reference(program, base, packages.lock_text(program))
    wanted = recipes.code(program, below, tuple(package_files(program)))
    if docker.image_id(wanted.reference) is None:
        if docker.image_id(below) is None:
            build_dependencies(program, below, base)
        with step(f"Build the {program.name} image"):
            docker.build(wanted)
    return wanted.reference


def package_files(program: Program) -> list[File]:
    """The files of the import packages of a program."""
    packages = (places.REPOSITORY / package for package in program.packages)
    return [file for package in packages for file in files_below(package, f"app/src/{package.name}")]


def build_dependencies(program: Program, reference: str, base: str) -> None:
    """Build the image with the locked packages of a program."""
    with step(f"Build the packages of the {program.name} image") as current:
        show_version = "import sys; print('%d.%d' % sys.version_info[:2])"
        python_version = docker.run(
            "run", "--rm", "--network=none", base, "python3", "-c", show_version
        ).strip()
        with tempfile.TemporaryDirectory(dir=places.cache_directory(), prefix="packages-") as directory:
            packages.install(program, python_version, Path(directory), current)
            files = (
                *installed_files(Path(directory), "lib"),
                *(
                    File(PurePosixPath("lib", path.relative_to(directory)), path.read_bytes())
                    for pattern in program.needed
                    for path in sorted(Path(directory).glob(pattern))
                ),
            )
        docker.build(recipes.dependencies(reference, base, files))


def build_model(directory: Path, base: str) -> tuple[str, str]:
    """Build the image of the model version in `directory` (.../NAME/VERSION); returns its name and alias."""
    name, version = directory.parent.name, int(directory.name)
    files = tuple(files_below(directory, f"models/{name}/{version}"))
    wanted = recipes.model(name, version, base, files)
    if docker.image_id(wanted.reference) is None:
        with step(f"Build the image of {name} version {version}"):
            docker.build(wanted)
    return wanted.reference, recipes.model_alias(name, version)


def choose_model_server(base: str) -> str | None:
    """The image of the model server that is given or can be pulled; None if ours has to be built."""
    given = os.environ.get("SERVING_IMAGE")
    program = next(program for program in recipes.PROGRAMS if program.name == "model-server")
    ours = recipes.dependencies_reference(program, base, packages.lock_text(program))
    if given and docker.image_id(given):
        return given
    made = docker.image_id(ours) is not None
    with step("Look for a model server image") as current:
        wanted = given or STOCK_SERVING
        can_pull = not (made and not given) and registry.pull(wanted, current)
        choice = choose(given, ours, made, STOCK_SERVING, can_pull)
        if choice.how == "given" and not can_pull:
            raise StepFailed(
                f"The image {given} is neither in the Docker Engine nor in its registry. Check SERVING_IMAGE."
            )
        current.found("no registry has one" if choice.how == "made" else choice.image)
    return None if choice.how == "made" else choice.image


def exported_models(directory: Path) -> list[Path]:
    """The version directories below a directory of exported models. Raises StepFailed when there are none."""
    found = sorted(path.parent for path in directory.glob("*/*/saved_model.pb") if path.parent.name.isdigit())
    if not found:
        raise StepFailed(f"{directory} has no NAME/VERSION/saved_model.pb. Run `make models`.")
    return found


def load(cluster: str, images: dict[str, tuple[str, tuple[str, ...]]]) -> None:
    """Load the images into each node of the cluster, with their names and aliases."""
    targets = load_into_nodes.of_cluster(cluster)
    for name, (reference, aliases) in images.items():
        with step(f"Load {name} into the cluster") as current:
            carried_bytes = load_into_nodes.load(targets, reference, aliases)
            current.found(f"{carried_bytes / 1e6:.1f} MB of layers" if carried_bytes else "already loaded")


def main(argv: list[str]) -> int:
    """Build the images that the command line names; returns the exit code."""
    names = [program.name for program in recipes.PROGRAMS]
    known = [*names, recipes.TRAINING.name]
    parser = Parser(
        usage="python3 kind/build_images.py [--load CLUSTER] [--models DIRECTORY] [NAME ...]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"images to build: {', '.join(known)} (default: {', '.join(names)})",
    )
    parser.add_argument("--load", metavar="CLUSTER", help="load the images into this Kind cluster")
    parser.add_argument(
        "--models", metavar="DIRECTORY", type=Path, help="also build the models DIRECTORY/NAME/VERSION"
    )
    arguments = parser.parse_args(argv)
    if unknown := set(arguments.names) - set(known):
        parser.error(f"unknown image {', '.join(sorted(unknown))}: use {', '.join(known)}")
    images: dict[str, tuple[str, tuple[str, ...]]] = {}
    try:
        base = build_base()
        for program in (*recipes.PROGRAMS, recipes.TRAINING):
            if program.name in (arguments.names or names):
                stock = choose_model_server(base) if program.name == "model-server" else None
                reference = stock or build_program(program, base)
                images[program.name] = (reference, () if stock else (recipes.program_alias(program),))
        for directory in exported_models(arguments.models) if arguments.models else ():
            reference, alias = build_model(directory, base)
            images[alias] = (reference, (alias,))
        for reference, aliases in images.values():
            for alias in aliases:
                docker.run("tag", reference, alias)
        if arguments.load:
            load(arguments.load, images)
    except (StepFailed, docker.DockerError) as failure:
        print(failure, file=sys.stderr)
        return 1
    json.dump({name: reference for name, (reference, _) in images.items()}, sys.stdout, indent=1)
    print()
    return 0
