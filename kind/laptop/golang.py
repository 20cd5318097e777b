"""Builds Go programs from Go modules: finds a Go that is new enough, and builds each program once.

The versions are pinned in the go.mod and go.sum of folders of kind/, because these programs need different
versions of the same packages. A program is cached under a hash of those files, its sources and its flags.
"""

import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from laptop import apt, places
from laptop.progress import Step, StepFailed, output, step

KUBERNETES_VERSION = "v1.34.4"
#: Taken from the Go module proxy, as every Go since 1.21 can by itself, where the installed Go is older than
#: the `go` line of a program's go.mod. It must be as new as the newest of these lines.
TOOLCHAIN = "go1.26.8"
#: The checksum database does not answer for these; the committed go.sum pins them all the same.
UNLISTED_MODULES = "sigs.k8s.io/metrics-server"


@dataclass(frozen=True)
class Program:
    """A Go program: `package` of the module in `module` (a directory below kind/), linked with `flags`.

    `replaced`: a file of another module that is not compiled, as (module, file, our file in its place).
    """

    name: str
    module: str
    package: str
    flags: tuple[str, ...] = ()
    note: str = ""
    replaced: tuple[str, str, str] | None = None


def _kubernetes_flags() -> tuple[str, ...]:
    # kubeadm and kind compare the version that is linked in.
    _, major, minor, _ = re.split(r"[v.]", KUBERNETES_VERSION)
    values = {"gitVersion": KUBERNETES_VERSION, "gitMajor": major, "gitMinor": minor}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return tuple(f"-X={package}.{name}={value}" for package in packages for name, value in values.items())


KUBERNETES = Program(
    "kubernetes", "kubernetes", ".", _kubernetes_flags(), "about 6 minutes on 2 cores the first time"
)
PAUSE = Program("pause", "kubernetes", "./pause")
KIND = Program("kind", "kubernetes", "sigs.k8s.io/kind")
CYCLONUS = Program("cyclonus", "kubernetes", "github.com/mattfenwick/cyclonus/cmd/cyclonus")
LOCAL_PATH_PROVISIONER = Program(
    "local-path-provisioner", "kubernetes", "github.com/rancher/local-path-provisioner"
)
KWOK = Program("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok", note="about 2 minutes on 2 cores the first time")
HELM = Program(
    "helm", "checkers", "helm.sh/helm/v4/cmd/helm", note="about 5 minutes on 2 cores the first time"
)
#: Uses the packages that Helm uses too.
GITOPS = Program("gitops", "checkers", "./gitops")
#: Validates the bundle for the Operator Lifecycle Manager.
OPERATOR_VERIFY = Program("operator-verify", "olm", "github.com/operator-framework/api/cmd/operator-verify")
#: Checks manifests for security and availability.
KUBE_SCORE = Program("kube-score", "kube-score", "github.com/zegl/kube-score/cmd/kube-score")
#: The plugin manager of kubectl, and what its index runs for the manifest of a plugin.
KREW = Program("krew", "krew", "sigs.k8s.io/krew/cmd/krew")
VALIDATE_KREW_MANIFEST = Program(
    "validate-krew-manifest", "krew", "sigs.k8s.io/krew/cmd/validate-krew-manifest"
)
#: A controller of the Gateway API.
TRAEFIK = Program(
    "traefik",
    "traefik",
    "github.com/traefik/traefik/v3/cmd/traefik",
    replaced=(
        "github.com/go-acme/lego/v5",
        "providers/dns/zz_gen_dns_providers.go",
        "no_dns_providers.go",
    ),
    note="about 5 minutes on 2 cores the first time",
)
#: What the tests of the installation run.
CHECKERS = (HELM, GITOPS, OPERATOR_VERIFY, KUBE_SCORE, KREW, VALIDATE_KREW_MANIFEST, TRAEFIK)

#: Receives traces in tests.
COLLECTOR = Program("collector", "collector", ".", note="about 4 minutes on 2 cores the first time")
#: What the tests of signing in run: the proxy, and a provider of accounts.
OAUTH2_PROXY = Program("oauth2-proxy", "sign-in", "github.com/oauth2-proxy/oauth2-proxy/v7")
OIDC_PROVIDER = Program("oidc-provider", "sign-in", "./provider")
VERSITYGW = Program(
    "versitygw",
    "storage",
    "github.com/versity/versitygw/cmd/versitygw",
    note="about 2 minutes on 2 cores the first time",
)


def parse_version(text: str) -> tuple[int, ...]:
    """`go version go1.24.4 linux/amd64` -> (1, 24, 4); anything without a version -> ()."""
    match = re.search(r"\bv?(?:go)?(\d+(?:\.\d+)+)", text)
    return tuple(int(part) for part in match[1].split(".")) if match else ()


def oldest_go(module: str) -> tuple[int, ...]:
    """The oldest Go that can build a module: the `go` line of its go.mod."""
    line = re.search(r"^go .+$", (places.KIND / module / "go.mod").read_text(encoding="utf-8"), re.MULTILINE)
    assert line is not None, f"kind/{module}/go.mod has no `go` line"
    return parse_version(line[0].replace("go ", "go"))


def choose_go(found: Mapping[str, str], oldest: tuple[int, ...]) -> str | None:
    """The first Go that is new enough; `found` maps the path of each to its `go version` line."""
    return next((path for path, line in found.items() if parse_version(line) >= oldest), None)


def _installed_go() -> dict[str, str]:
    candidates = [shutil.which("go"), "/usr/local/go/bin/go"]
    candidates += sorted(map(str, Path("/usr/lib").glob("go-*/bin/go")), reverse=True)
    # Without this, Go would run the newer toolchain that go.mod names, and print its version.
    versions = {path: output([path, "version"], GOTOOLCHAIN="local") for path in candidates if path}
    return {path: line for path, line in versions.items() if line}


def _toolchain_from_module_proxy(old_go: str, current: Step) -> str:
    """Download a newer Go with an older one: the toolchains of Go are Go modules."""
    architecture = output([old_go, "env", "GOARCH"]) or "amd64"
    module = f"golang.org/toolchain@v0.0.1-{TOOLCHAIN}.linux-{architecture}"
    scratch = places.cache_directory() / "toolchain-download"
    scratch.mkdir(parents=True, exist_ok=True)
    (scratch / "go.mod").write_text("module download\n")
    listing = output(
        ["env", f"--chdir={scratch}", old_go, "mod", "download", "-json", module],
        timeout_seconds=600,
    )
    directory = Path(json.loads(listing).get("Dir", "")) if listing else Path()
    if not (directory / "bin/go").is_file():
        raise StepFailed(
            f"{TOOLCHAIN} could not be downloaded. Install this Go or a newer one, and run this again."
        )
    # The files of a module are not executable, and its directories are read-only.
    for program in (*directory.glob("bin/*"), *directory.glob("pkg/tool/*/*")):
        if not os.access(program, os.X_OK):
            program.chmod(program.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    current.say(f"using {directory}/bin/go")
    return str(directory / "bin/go")


def go_program(module: str, current: Step) -> str:
    """A Go that is new enough for a module: the installed one, else Debian's, else a newer toolchain."""
    oldest = oldest_go(module)
    if go := choose_go(_installed_go(), oldest):
        return go
    needed = f"Go {'.'.join(map(str, oldest))} or newer"
    if not _installed_go():
        apt.install(["golang-go"], current, f"install {needed}")
    installed = _installed_go()
    if not installed:
        raise StepFailed(f"Go is missing. Install {needed} and run this again.")
    return choose_go(installed, oldest) or _toolchain_from_module_proxy(next(iter(installed)), current)


def _inputs(program: Program) -> list[Path]:
    """The pins of the module, and the sources of the package if it is our own."""
    module = places.KIND / program.module
    sources = (module / program.package).glob("*.go") if program.package.startswith(".") else ()
    ours = [module / program.replaced[2]] if program.replaced else []
    return [module / "go.mod", module / "go.sum", *sources, *ours]


def binary_path(program: Program) -> Path:
    """The path of the program in the cache, whether it is built or not."""
    values = [program.package, *program.flags, os.uname().machine]
    return places.cached(program.name, places.digest(values, _inputs(program))) / program.name


def ensure(programs: Sequence[Program]) -> None:
    """Build the programs that are not in the cache, one step each."""
    for program in programs:
        final = binary_path(program)
        if final.is_file():
            continue
        with places.exclusive(f"build-{program.name}"):
            if not final.is_file():
                with step(f"Build {program.name} from Go modules", program.note) as current:
                    _build(program, final, current)


def _build(program: Program, final: Path, current: Step) -> None:
    temporary = final.parent.with_name(f".{final.parent.name}.{os.getpid()}")
    temporary.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=places.cache_directory()) as folder:
        current.run(
            [
                go_program(program.module, current), "build", "-trimpath", "-buildvcs=false",
                *_modfile(program, Path(folder), current),
                "-ldflags", " ".join(["-s", "-w", *program.flags]),
                "-o", temporary / program.name, program.package,
            ],
            directory=places.KIND / program.module,
            environment={"CGO_ENABLED": "0", "GONOSUMDB": UNLISTED_MODULES, "GOFLAGS": "-mod=readonly"},
            advice="Read the end of the log. If the Go module proxy did not answer, run this again.",
        )  # fmt: skip
    places.replace_directory(temporary, final.parent)


def _modfile(program: Program, folder: Path, current: Step) -> list[str]:
    """The flag with which Go uses a copy of a module, in `folder`, that has our file in place of its own."""
    if program.replaced is None:
        return []
    module, name, ours = program.replaced
    sources, copy = places.KIND / program.module, folder / "module"
    original = module_directory(program.module, module, current)
    current.run(["cp", "-r", "--no-preserve=mode", original, copy], advice="Free some disk space.")
    shutil.copyfile(sources / ours, copy / name)
    shutil.copyfile(sources / "go.sum", folder / "go.sum")
    text = (sources / "go.mod").read_text(encoding="utf-8")
    (folder / "go.mod").write_text(f"{text}\nreplace {module} => {copy}\n", encoding="utf-8")
    return [f"-modfile={folder / 'go.mod'}"]


def module_directory(module: str, path: str, current: Step) -> Path:
    """The source directory of the module `path` at its pinned version, downloaded if it is missing."""
    command = [go_program(module, current), "mod", "download", "-json", path]
    listing = output(["env", f"--chdir={places.KIND / module}", *command], timeout_seconds=300)
    if not listing:
        raise StepFailed(f"The Go module {path} could not be downloaded. Check the network, run this again.")
    return Path(json.loads(listing)["Dir"])
