"""The decisions of the laptop cluster's scripts, which are pure: what is there, what has to be done."""

import doctest
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laptop import (
    apt,
    base_image,
    cluster,
    commands,
    engine,
    golang,
    node_image,
    places,
    proc,
    progress,
    registry,
    train_demo,
)
from laptop.cluster_state import LAPTOP, TWO_WORKERS, Found, Record, decide

NODES = ["imageclassifier-control-plane"]
RECORD = Record("node:1", "abc", {NODES[0]: "id1"})


def decided(found: dict[str, Found], record: Record | None = RECORD, image: str = "node:1") -> str:
    return decide(NODES, found, record, image, "abc")


def test_without_containers_a_cluster_is_created_regardless_of_the_record() -> None:
    assert decided({}) == "create"
    assert decided({}, None) == "create"


def test_a_running_cluster_of_the_same_image_and_configuration_is_left_alone() -> None:
    assert decided({NODES[0]: Found("id1", True)}) == "nothing"


def test_a_stopped_cluster_is_started() -> None:
    assert decided({NODES[0]: Found("id1", False)}) == "start"


def test_a_cluster_whose_creation_was_killed_has_no_record_and_is_made_again() -> None:
    assert decided({NODES[0]: Found("id1", True)}, None) == "recreate"


def test_a_cluster_of_another_node_image_or_with_other_containers_is_made_again() -> None:
    assert decided({NODES[0]: Found("id1", True)}, image="node:2") == "recreate"
    assert decided({NODES[0]: Found("id2", True)}) == "recreate"
    assert decided({NODES[0]: Found("id1", True), "imageclassifier-worker": Found("id3", True)}) == "recreate"


def test_the_nodes_are_named_as_kind_names_them() -> None:
    assert LAPTOP.nodes == ["imageclassifier-control-plane"]
    assert TWO_WORKERS.nodes == [
        "imageclassifier-workers-control-plane",
        "imageclassifier-workers-worker",
        "imageclassifier-workers-worker2",
    ]


@given(present=st.booleans(), can_pull=st.booleans())
def test_an_image_that_the_user_names_is_always_used(present: bool, can_pull: bool) -> None:
    assert base_image.choose("mine:1", "made:1", present, "stock:1", can_pull) == base_image.Choice(
        "mine:1", "given"
    )


def test_what_was_made_is_kept_else_an_image_is_pulled_else_made() -> None:
    assert base_image.choose(None, "made:1", True, "stock:1", True).how == "made"
    assert base_image.choose(None, "made:1", False, "stock:1", True) == base_image.Choice("stock:1", "pulled")
    assert base_image.choose(None, "made:1", False, "stock:1", False) == base_image.Choice("made:1", "made")


@pytest.mark.parametrize("name", ["_OPTIONS", "_EMPTIED", "_KEPT_DOCUMENT"])
def test_a_base_image_that_is_made_in_another_way_has_another_name(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = base_image.made_base_name()
    monkeypatch.setattr(base_image, name, type(getattr(base_image, name))("another"))
    assert base_image.made_base_name() != before


def test_one_image_stands_for_all_components_but_pause() -> None:
    listed = "registry.k8s.io/kube-proxy:v1.34.4\nregistry.k8s.io/pause:3.10.1\nregistry.k8s.io/etcd:3.6.5-0"
    names = node_image.component_names("v1.34.4", listed)
    assert "registry.k8s.io/kube-proxy:v1.34.4" in names
    assert "registry.k8s.io/etcd:3.6.5-0" in names
    assert node_image.METRICS_SERVER in names
    assert not [name for name in names if "pause" in name]


def test_the_manifests_name_only_images_that_the_node_brings_along() -> None:
    names = node_image.component_names(golang.KUBERNETES_VERSION, "")
    manifests = [
        *(places.KIND / "node/manifests").glob("*.yaml"),
        places.KIND / "manifests/metrics-server.yaml",
    ]
    used = [
        line.split("image:")[1].strip()
        for manifest in manifests
        for line in manifest.read_text(encoding="utf-8").splitlines()
        if "image:" in line
    ]
    assert used
    assert set(used) <= set(names)


@pytest.mark.parametrize(
    ("image", "host"),
    [
        ("python:3.11-slim", "registry-1.docker.io"),
        ("kindest/node:v1.34.3", "registry-1.docker.io"),
        ("docker.io/kindest/node:v1.34.3", "registry-1.docker.io"),
        ("registry.k8s.io/pause:3.10.1", "registry.k8s.io"),
        ("localhost/x", "localhost"),
        ("127.0.0.1:5001/library/python", "127.0.0.1:5001"),
    ],
)
def test_the_registry_of_an_image_is_in_its_name(image: str, host: str) -> None:
    assert registry.registry_of(image) == host


def test_the_examples_of_names_of_registries() -> None:
    assert doctest.testmod(registry).failed == 0


def test_mirrors_are_used_first_and_only_for_images_of_docker_hub() -> None:
    mirrors = ["http://127.0.0.1:5001/"]
    assert registry.addresses("python:3.11", mirrors)[0] == "http://127.0.0.1:5001/v2/"
    assert registry.addresses("registry.k8s.io/pause:3", mirrors) == ["https://registry.k8s.io/v2/"]


@pytest.mark.parametrize(
    ("status", "is_one"), [(200, True), (401, True), (403, False), (404, False), (502, False)]
)
def test_a_proxys_refusal_is_not_taken_for_a_registry(status: int, is_one: bool) -> None:
    assert registry.is_registry(status) is is_one


def test_the_first_go_that_is_new_enough_is_used() -> None:
    found = {
        "/usr/bin/go": "go version go1.19.8 linux/amd64",
        "/usr/local/go/bin/go": "go version go1.26.8 linux/amd64",
        "/opt/go": "go version go1.25.0 linux/amd64",
    }
    assert golang.choose_go(found, (1, 24, 4)) == "/usr/local/go/bin/go"
    assert golang.choose_go({"/usr/bin/go": "go version go1.24.3 linux/amd64"}, (1, 24, 4)) is None
    assert golang.choose_go({}, (1, 24, 4)) is None


@pytest.mark.parametrize("module", sorted(path.parent.name for path in places.KIND.glob("*/go.mod")))
def test_the_toolchain_that_is_downloaded_can_build_every_module(module: str) -> None:
    assert (1, 20) < golang.oldest_go(module) <= golang.parse_version(golang.TOOLCHAIN)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go version go1.24.4 linux/amd64", (1, 24, 4)),
        ("kind v0.33.0 go1.26.8 linux/amd64", (0, 33, 0)),
        ("v1.34.4", (1, 34, 4)),
        ("no version here", ()),
    ],
)
def test_a_version_is_read_from_what_programs_print(text: str, version: tuple[int, ...]) -> None:
    assert golang.parse_version(text) == version


ONE_LINE = """
# a comment
deb [signed-by=/usr/share/keyrings/x.gpg] https://apt.example.org/cloud cloud-bookworm main
deb [arch=amd64 trusted=yes] http://mirror.example.org/debian bookworm main contrib
deb-src http://source.example.org/debian bookworm main
"""
DEB822 = """Types: deb
URIs: http://security.example.org/debian-security
Suites: bookworm-security
Components: main

Types: deb deb-src
URIs: http://mirror.example.org/debian http://other.example.org/debian
Suites: bookworm bookworm-updates
Components: main
"""


@pytest.mark.parametrize("sources", [ONE_LINE, DEB822])
def test_the_package_mirror_is_taken_from_the_machines_own_sources(sources: str) -> None:
    assert apt.parse_mirror(sources, "bookworm") == "http://mirror.example.org/debian"
    assert apt.parse_mirror(sources, "trixie") is None


def test_a_disabled_source_is_not_used() -> None:
    assert (
        apt.parse_mirror(DEB822.replace("Types: deb deb-src", "Enabled: no\nTypes: deb"), "bookworm") is None
    )


def test_os_release_is_read_with_and_without_quotation_marks() -> None:
    read = apt.parse_os_release('ID=ubuntu\nVERSION_CODENAME="noble"\n# comment\n')
    assert read == {"ID": "ubuntu", "VERSION_CODENAME": "noble"}


def test_the_runtime_wrapper_is_set_only_where_the_capability_is_withheld() -> None:
    assert "default-runtime" not in engine.settings(runtime=None)
    withheld = engine.settings(runtime=Path("/state/wrapper"), mirrors=("http://127.0.0.1:5001",))
    assert withheld["runtimes"] == {withheld["default-runtime"]: {"path": "/state/wrapper"}}
    assert withheld["registry-mirrors"] == ["http://127.0.0.1:5001"]


def test_a_capability_is_read_from_the_bounding_set() -> None:
    everything, without = "CapBnd:\t000001ffffffffff\n", "CapBnd:\t000001fffeffffff\n"
    assert proc.has_capability(everything, proc.CAP_SYS_RESOURCE)
    assert not proc.has_capability(without, proc.CAP_SYS_RESOURCE)


def test_a_machine_without_proc_has_its_engine_in_a_virtual_machine_and_none_of_ours_to_stop(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(proc, "_PROC", tmp_path / "none")
    files = engine.Files(*(tmp_path / name for name in ("settings", "runtime", "pid", "log", "data", "run")))
    monkeypatch.setattr(engine.Files, "of_this_machine", lambda: files)
    assert proc.host_has_sys_resource()
    engine.stop(progress.Step("stop", tmp_path / "log"))


def test_a_port_that_something_listens_on_is_named_before_the_cluster_is_made() -> None:
    assert LAPTOP.host_ports == [8080]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(progress.StepFailed, match=rf"Port {port} of this machine, .* end the program"):
            cluster.require_free([port])
    cluster.require_free([port])


def test_only_what_an_engine_of_ours_mounted_is_unmounted_the_innermost_first() -> None:
    mounts = """\
27 1 254:0 / / rw shared:1 - ext4 /dev/vda rw
30 27 254:16 / /data rw shared:2 - ext4 /dev/vdb rw
31 30 254:16 /docker /data/docker rw shared:2 - ext4 /dev/vdb rw
32 31 0:40 / /data/docker/overlay2/1/merged rw - overlay overlay rw
33 27 0:4 net:[4026532281] /run/ours/netns/default rw - nsfs nsfs rw
34 27 0:4 net:[4026532282] /run/ours-not/netns/default rw - nsfs nsfs rw
"""
    ours = (Path("/run/ours"), Path("/data/docker"))
    assert proc.left_mounted(mounts, ours) == [
        "/run/ours/netns/default",
        "/data/docker/overlay2/1/merged",
        "/data/docker",
    ]


@pytest.mark.parametrize(
    "mount",
    [
        "31 27 254:16 / /data/docker rw - ext4 /dev/vdb rw",
        "31 27 254:0 /docker /data/docker rw - btrfs /dev/vda rw",
    ],
)
def test_a_disk_or_a_subvolume_that_somebody_mounted_for_the_engine_stays(mount: str) -> None:
    mounts = f"27 1 254:0 / / rw - btrfs /dev/vda rw\n{mount}\n"
    assert proc.left_mounted(mounts, (Path("/data/docker"),)) == []


def test_a_digest_changes_with_a_value_and_with_a_files_bytes(tmp_path: Path) -> None:
    file = tmp_path / "input"
    file.write_text("one")
    before = places.digest(["a", "b"], [file])
    assert places.digest(["a", "b"], [file]) == before
    assert places.digest(["ab", ""], [file]) != before
    file.write_text("two")
    assert places.digest(["a", "b"], [file]) != before


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (75, "75 s"), (119.6, "120 s"), (725, "12 min 5 s")],
)
def test_a_duration_reads_well(seconds: float, text: str) -> None:
    assert progress.duration_text(seconds) == text


@pytest.mark.parametrize(("asked", "exported"), [(None, 4), (1, 4), (2, 4), (3, 4), (4, 5), (17, 18)])
def test_a_training_is_exported_as_version_4_and_never_as_one_that_was_rolled_out(
    asked: int | None, exported: int
) -> None:
    found = {} if asked is None else {"spec": {"model": {"version": asked}}}
    assert train_demo.next_version(found) == exported


@pytest.mark.parametrize("record", [RECORD, None])
def test_down_starts_our_stopped_engine_if_it_keeps_a_cluster(
    monkeypatch: pytest.MonkeyPatch, record: Record | None
) -> None:
    started: list[bool] = []
    monkeypatch.setattr(commands, "read_record", lambda _: record)
    monkeypatch.setattr(engine, "ran_here", lambda: True)
    monkeypatch.setattr(engine, "ensure", lambda: started.append(True))
    monkeypatch.setattr(engine, "answers", lambda: False)
    monkeypatch.setattr(engine, "stop", lambda _: None)
    commands.WORK["down"]()
    assert bool(started) is (record is not None)
