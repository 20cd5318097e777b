"""The tag of an image identifies its content."""

import subprocess
import sys
import sysconfig
from pathlib import Path, PurePosixPath

import pytest

from images import recipes
from images.packages import lock_text, uv_arguments
from images.recipes import PROGRAMS, TRAINING, Program
from images.trees import File, is_needed
from laptop import places

BASE = "imageclassifier/base:0123456789ab"
CODE = (File(PurePosixPath("app/src/p/__init__.py"), b"x = 1\n"),)


@pytest.fixture(params=(*PROGRAMS, TRAINING), ids=lambda program: program.name)
def program(request: pytest.FixtureRequest) -> Program:
    value: Program = request.param
    return value


def test_a_change_of_our_code_keeps_the_packages_and_moves_the_image(program: Program) -> None:
    below = recipes.dependencies_reference(program, BASE, lock_text(program))
    changed = (File(CODE[0].path, b"x = 2\n"),)
    before, after = recipes.code(program, below, CODE), recipes.code(program, below, changed)
    assert before.argument == after.argument == ("DEPENDENCIES", below)
    assert before.reference != after.reference
    assert recipes.code(program, below, CODE).reference == before.reference


def test_a_change_of_a_lock_or_of_the_base_moves_the_packages(program: Program) -> None:
    lock = lock_text(program)
    references = {
        recipes.dependencies_reference(program, BASE, lock),
        recipes.dependencies_reference(program, BASE, lock + "\n"),
        recipes.dependencies_reference(program, "imageclassifier/base:ba9876543210", lock),
    }
    assert len(references) == 3


def test_the_base_moves_with_the_image_below_and_not_with_its_name() -> None:
    one = recipes.base("python:3.11-slim", "sha256:1").reference
    assert one == recipes.base("mirror.example.org/python:3.11-slim", "sha256:1").reference
    assert one != recipes.base("python:3.11-slim", "sha256:2").reference


def test_a_program_starts_by_its_entry_point_as_an_unprivileged_user(program: Program) -> None:
    dockerfile = recipes.code(program, "below", CODE).dockerfile
    assert dockerfile.splitlines()[-1].startswith('ENTRYPOINT ["')
    users = [line for line in dockerfile.splitlines() if line.startswith("USER")]
    assert users[-1] == "USER 65532:65532"


def test_a_program_image_is_built_from_files_of_the_repository(program: Program) -> None:
    for package in program.packages:
        assert (places.REPOSITORY / package / "__init__.py").is_file()
    assert "--hash=sha256:" in lock_text(program)


def test_the_training_image_has_the_modules_that_training_imports() -> None:
    code = "import sys, sklearn.linear_model, optuna; print(*(m.__file__ for m in list(sys.modules.values()) "
    code += "if getattr(m, '__file__', None)), sep='\\n')"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    site = Path(sysconfig.get_path("purelib"))
    loaded = [Path(line).relative_to(site) for line in shown.splitlines() if Path(line).is_relative_to(site)]
    left_out = [path for path in loaded if not is_needed(PurePosixPath(path))]
    assert PurePosixPath("scipy/stats/_page_trend_test.py") in left_out
    assert [path for path in left_out if not any(path.match(each) for each in TRAINING.needed)] == []


def test_a_model_is_known_by_name_and_version_and_hashed_by_its_files() -> None:
    files = (File(PurePosixPath("models/pizza-model/2/saved_model.pb"), b"graph"),)
    build = recipes.model("pizza-model", 2, BASE, files)
    assert build.reference.startswith("imageclassifier/pizza-model:")
    assert build.reference != recipes.model("pizza-model", 3, BASE, files).reference
    assert recipes.model_alias("pizza-model", 2) == "pizza-model:2"


@pytest.mark.parametrize(("machine", "platform"), [("x86_64", "x86_64"), ("arm64", "aarch64")])
def test_packages_are_locked_wheels_for_linux_on_every_machine(machine: str, platform: str) -> None:
    arguments = uv_arguments(machine, "3.11", places.REPOSITORY / "requirements/gateway.txt", places.KIND)
    assert f"{platform}-manylinux_2_28" in arguments
    assert {"--require-hashes", "--no-deps", ":all:"} <= set(arguments)
