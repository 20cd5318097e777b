"""The folder with the API keys is followed through the changes that the kubelet makes."""

from __future__ import annotations

from pathlib import Path

from imageclassifier_gateway.access.key_folder import KeyFolder
from key_secret import KeySecret, entry


def names(folder: KeyFolder, *keys: str) -> list[str | None]:
    """Whose these keys are."""
    found = [folder.keys.find(key.encode()) for key in keys]
    return [None if client is None else client.name for client in found]


def test_a_change_of_the_secret_adds_and_revokes_keys(tmp_path: Path) -> None:
    secret = KeySecret(tmp_path / "keys", app=entry("a"), shop=entry("s"))
    folder = KeyFolder(secret.folder)
    folder.look()
    assert names(folder, "a", "s", "n") == ["app", "shop", None]
    secret.write(shop=entry("s"), new=entry("n"))
    folder.look()
    assert names(folder, "a", "s", "n") == [None, "shop", "new"]
    secret.write()
    folder.look()
    assert names(folder, "a", "s", "n") == [None, None, None]
    assert str(folder.keys.error).startswith("There are no API keys.")


def test_a_key_is_replaced_without_a_moment_in_which_neither_is_valid(tmp_path: Path) -> None:
    secret = KeySecret(tmp_path / "keys", app=entry("old"))
    folder = KeyFolder(secret.folder)
    for keys in (["old", "new"], ["new"]):
        secret.write(app=" ".join(map(entry, keys)))
        folder.look()
        assert names(folder, "old", "new") == ["app" if "old" in keys else None, "app"]


def test_a_folder_that_cannot_be_read_makes_no_key_valid(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path / "missing")
    folder.look()
    assert (
        folder.keys.error == f"The API keys in {tmp_path}/missing cannot be read: No such file or directory."
    )
    assert not folder.keys.names


def test_a_link_to_nothing_in_the_middle_of_a_change_revokes_no_key_but_one_that_stays_does(
    tmp_path: Path,
) -> None:
    secret = KeySecret(tmp_path / "keys", app=entry("a"))
    folder = KeyFolder(secret.folder)
    folder.look()
    (secret.folder / "gone").symlink_to("..data/gone")
    folder.look()
    assert names(folder, "a") == ["app"]
    folder.look()
    folder.look()
    assert names(folder, "a") == [None]
    (secret.folder / "gone").unlink()
    folder.look()
    assert names(folder, "a") == ["app"]
    assert folder.keys.error is None


def test_a_folder_with_too_many_entries_is_refused(tmp_path: Path) -> None:
    secret = KeySecret(tmp_path / "keys", **{f"client-{index}": "" for index in range(1001)})
    folder = KeyFolder(secret.folder)
    folder.look()
    assert "there are 1,001 entries, and the limit is 1,000" in str(folder.keys.error)
