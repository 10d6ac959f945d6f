"""Single files: what is written into, what is replaced, what is refused."""

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from kit.killing import killed_at

from condense_compiler.errors import InputError
from condense_compiler.files import check_file, is_standard_output, temporary, write_file, writing
from condense_compiler.files.array_files import write_arrays
from condense_compiler.files.temporary import remove_left_behind, temporary_file, temporary_folder


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("there/file")
    write_file(tmp_path / "one", "first")  # leads nowhere yet
    write_file(tmp_path / "one", "second")
    assert (tmp_path / "one").is_symlink()
    assert (tmp_path / "there" / "file").read_text() == "second"
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["file"]


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    with pytest.raises(InputError, match="one: cannot be written: Too many levels"):
        write_file(tmp_path / "one", "")


def test_a_pipe_is_written_into(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "link"):
        found: list[bytes] = []
        reader = threading.Thread(target=lambda: found.append((tmp_path / "pipe").read_bytes()))  # noqa: B023
        reader.start()
        write_file(tmp_path / name, b"content")
        reader.join()
        assert found == [b"content"]
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


@pytest.mark.parametrize("name", ["link", "twin"])
def test_a_device_stays_one(tmp_path: Path, name: str) -> None:
    device = Path("/dev/null")
    if name == "twin":
        try:
            os.mknod(tmp_path / name, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        except OSError:
            pytest.skip("needs the right to make a device")
    else:
        (tmp_path / name).symlink_to(device)
    write_file(tmp_path / name, b"gone")
    assert stat.S_ISCHR((tmp_path / name).stat().st_mode)
    assert stat.S_ISCHR(device.stat().st_mode)


def test_a_full_device_is_told(tmp_path: Path) -> None:
    (tmp_path / "full").symlink_to("/dev/full")
    with pytest.raises(InputError, match="full: cannot be written: No space left on device"):
        write_file(tmp_path / "full", b"x")


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
def test_standard_output(tmp_path: Path, name: str) -> None:
    """Also where it goes to a file, which then must not be replaced."""
    (tmp_path / "link").symlink_to("/dev/stdout")
    code = (
        "import sys; from pathlib import Path; from condense_compiler.files import write_file\n"
        f"print('before'); write_file(Path({name!r}), 'between\\n'); print('after')"
    )
    with (tmp_path / "out").open("wb") as out:
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, stdout=out, check=True)
    assert (tmp_path / "out").read_text() == "before\nbetween\nafter\n"
    assert is_standard_output(Path(name)) == (name != "link")


def test_what_is_read_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    source.write_text("mine")
    (tmp_path / "link").symlink_to("source")
    (tmp_path / "twin").hardlink_to(source)
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in ("source", "./folder/../source", "link", "twin", str(source)):
        with pytest.raises(InputError, match="is what is read"):
            write_file(Path(name), "other", [Path("source")])
    assert source.read_text() == "mine"


def test_what_cannot_be_a_file_is_refused_early(tmp_path: Path) -> None:
    for name, reason in (
        ("", "is a folder"),
        ("no/file", "the folder .*no' does not exist"),
        ("a\0b", "null"),
        ("n" * 300, "name too long"),
    ):
        with pytest.raises(InputError, match=f"(?i)cannot be written: .*{reason}"):
            check_file(tmp_path / name)
    (tmp_path / "dangling").symlink_to("no/file")
    with pytest.raises(InputError, match="does not exist"):
        check_file(tmp_path / "dangling")


def test_the_longest_names_can_be_written(tmp_path: Path) -> None:
    write_file(tmp_path / ("n" * 255), "content")
    assert [path.name for path in tmp_path.iterdir()] == ["n" * 255]


def test_rights_stay(tmp_path: Path) -> None:
    (tmp_path / "private").touch(mode=0o600)
    write_file(tmp_path / "private", "content")
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o600
    (tmp_path / "ordinary").touch()
    write_file(tmp_path / "new", "content")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def fail(file: Path) -> None:
    with writing(file) as stream:
        stream.write(b"half")
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("existing", [True, False])
def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, existing: bool) -> None:
    if existing:
        (tmp_path / "file").write_text("old")
    with pytest.raises(InputError, match="file: cannot be written: No space left"):
        fail(tmp_path / "file")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("file", "old")] * existing


def test_killed_at_any_step_the_file_is_old_or_new(tmp_path: Path) -> None:
    path, step, killed = tmp_path / "file", 0, True
    while killed:
        path.write_text("old")
        killed = killed_at(step, lambda: write_file(path, "new"))
        assert path.read_text() in ("old", "new")
        write_file(path, "newest")
        assert [each.name for each in tmp_path.iterdir()] == ["file"]
        step += 1
    assert step > 2


def test_what_a_living_process_writes_is_not_cleaned_up(tmp_path: Path) -> None:
    with temporary_file(tmp_path) as (path, _):
        write_file(tmp_path / "other", "content")
        assert path.exists()
    stranger = tmp_path / ".condense-notes"
    stranger.write_text("mine")
    write_file(tmp_path / "other", "content")
    assert {each.name for each in tmp_path.iterdir()} == {"other", ".condense-notes"}


def test_a_newborn_that_is_cleaned_up_is_born_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its making and its lock, another process may remove it; before it is opened, too."""
    opened, held, taken = temporary.open_entry, temporary.hold, 0

    def too_late(path: Path) -> int:
        nonlocal taken
        taken += 1
        if taken == 1:
            path.rmdir()
        return opened(path)

    def late(descriptor: int) -> None:
        if taken == 2:
            remove_left_behind(tmp_path)
        held(descriptor)

    monkeypatch.setattr(temporary, "open_entry", too_late)
    monkeypatch.setattr(temporary, "hold", late)
    with temporary_folder(tmp_path) as path:
        assert [path] == list(tmp_path.iterdir())
    assert taken > 3


@pytest.mark.parametrize("name", ["file", "allow_pickle", "args", "self", "a/b", "kwds", "ü"])
def test_arrays_have_any_name(tmp_path: Path, name: str) -> None:
    """`numpy.savez` takes some of these for its own parameters."""
    arrays = {name: np.arange(6.0).reshape(2, 3).T, "empty": np.empty((0, 2), np.int8)}
    write_arrays(tmp_path / "y.npz", arrays)
    with np.load(tmp_path / "y.npz") as found:
        assert set(found.files) == set(arrays)
        for each, values in arrays.items():
            np.testing.assert_array_equal(found[each], values)
            assert found[each].dtype == values.dtype
