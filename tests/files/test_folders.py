"""Folders that are written: links, rights, full disks, several writers at once."""

import ctypes
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kit.killing import content

from condense_compiler.errors import InputError
from condense_compiler.files import (
    check_folder,
    exchange,
    folders,
    reading_folder,
    replace_folder,
    write_file,
    writing,
)
from condense_compiler.files.manifest import describe

ROOT = Path(__file__).parents[2]


def writer(**files: str) -> Callable[[Path], None]:
    """Return what writes some files, and a report that names them."""

    def write(staging: Path) -> None:
        for name, text in files.items():
            write_file(staging / name, text)
        entries = [
            {"file": a.file, "bytes": a.bytes, "sha256": a.sha256} for a in describe(staging)
        ]
        write_file(staging / "report.json", json.dumps({"artefacts": entries}))

    return write


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture(params=["exchange", "by name"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Write folders in both ways."""
    if request.param == "by name":
        monkeypatch.setattr(folders, "_may_exchange", lambda _place: False)
    return str(request.param)


def test_a_folder_that_is_a_link_stays_one(tmp_path: Path, way: str) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "out").symlink_to("there")
    for text in "ab":
        replace_folder(tmp_path / "out", writer(model=text))
    assert (tmp_path / "out").is_symlink()
    assert (tmp_path / "there" / "model").read_text() == "b"
    assert names(tmp_path) == {"there", "out"}, way


def test_a_link_that_leads_nowhere_yet_gets_its_folder(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("there")
    replace_folder(tmp_path / "out", writer(model="a"))
    assert names(tmp_path / "there") == {"model", "report.json"}


def test_what_an_earlier_run_wrote_goes_and_the_rest_stays(tmp_path: Path, way: str) -> None:
    out = tmp_path / "out"
    replace_folder(out, writer(model="a", extra="a", edited="a"))
    (out / "notes").write_text("mine")
    (out / "link").symlink_to("notes")
    (out / "edited").write_text("changed by hand")
    inode = (out / "notes").stat().st_ino
    replace_folder(out, writer(model="b"))
    assert names(out) == {"model", "report.json", "notes", "link", "edited"}, way
    assert (out / "notes").stat().st_ino == inode
    assert (out / "link").is_symlink()


@pytest.mark.parametrize("named", ["../precious", "/precious", "sub/../../precious", "", ".", 3])
def test_a_report_cannot_have_other_files_removed(tmp_path: Path, way: str, named: object) -> None:
    out = tmp_path / "out"
    replace_folder(out, writer(model="a"))
    (tmp_path / "precious").write_text("mine")
    [entry] = json.loads((out / "report.json").read_text())["artefacts"]
    (artefact,) = (a for a in describe(tmp_path) if a.file == "precious")
    entry |= {"file": named, "bytes": artefact.bytes, "sha256": artefact.sha256}
    (out / "report.json").write_text(json.dumps({"artefacts": [entry]}))
    replace_folder(out, writer(model="b"))
    assert (tmp_path / "precious").read_text() == "mine", way


def test_rights_of_a_folder_stay(tmp_path: Path, way: str) -> None:
    (tmp_path / "out").mkdir(mode=0o750)
    (tmp_path / "out").chmod(0o2750)
    replace_folder(tmp_path / "out", writer(model="a"))
    assert (tmp_path / "out").stat().st_mode & 0o7777 == 0o2750, way


@pytest.mark.skipif(os.geteuid() != 0, reason="needs the right to give files away")
def test_the_owner_of_a_folder_stays(tmp_path: Path, way: str) -> None:
    (tmp_path / "out").mkdir()
    os.chown(tmp_path / "out", 1234, 2345)
    replace_folder(tmp_path / "out", writer(model="a"))
    status = (tmp_path / "out").stat()
    assert (status.st_uid, status.st_gid) == (1234, 2345), way


def test_the_folder_that_one_is_in_stays_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_folder(tmp_path / "out", writer(model="a"))
    monkeypatch.chdir(tmp_path / "out")
    replace_folder(Path(), writer(model="b"))
    replace_folder(Path("../out"), writer(model="c"))
    assert Path("model").read_text() == "c"
    assert names(Path()) == {"model", "report.json"}


def test_what_is_written_in_the_last_moment_comes_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also a file that another process of ours is writing."""
    out = tmp_path / "out"
    replace_folder(out, writer(model="a"))
    (out / "notes").write_text("first")

    def late(one: Path, other: Path) -> None:
        (out / "new").write_text("new")
        (out / "second").write_text("second")
        (out / "second").replace(out / "notes")
        exchange.exchange(one, other)

    monkeypatch.setattr(folders, "exchange", late)
    with writing(out / "plan.html") as file:
        file.write(b"page")
        replace_folder(out, writer(model="b"))
    found = {path.name: path.read_text() for path in out.iterdir() if path.suffix != ".json"}
    assert found == {"model": "b", "notes": "second", "new": "new", "plan.html": "page"}
    assert names(tmp_path) == {"out"}


def test_a_folder_in_the_place_of_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "out" / "model").mkdir(parents=True)
    (tmp_path / "out" / "model" / "mine").touch()
    with pytest.raises(InputError, match="out/model: is a folder where a file is to be written"):
        check_folder(tmp_path / "out", ["mod*"])
    with pytest.raises(InputError, match="out/model: is a folder where a file is to be written"):
        replace_folder(tmp_path / "out", writer(model="a"))
    assert content(tmp_path) == {"out/model/mine": b""}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Yield a folder on a disk of 64 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"tmpfs", bytes(place), b"tmpfs", 0, b"size=64k") != 0:
        pytest.skip("needs the right to mount")
    yield place
    libc.umount2(bytes(place), 2)


@pytest.mark.parametrize("name", ["", "out"])
def test_a_full_disk_leaves_what_was_there(small_disk: Path, name: str) -> None:
    """Also where the folder is the disk itself, which nothing can be exchanged for."""
    out = small_disk / name
    replace_folder(out, writer(model="a"))
    before = content(small_disk)
    with pytest.raises(InputError, match="cannot be written: No space left on device") as error:
        replace_folder(out, writer(model="b", extra="x" * 100_000))
    assert str(out / "extra") in str(error.value)
    assert content(small_disk) == before
    replace_folder(out, writer(model="c"))
    assert (out / "model").read_text() == "c"
    with pytest.raises(InputError, match=r"plan\.html: cannot be written: No space left on device"):
        write_file(small_disk / "plan.html", "x" * 100_000)
    assert "plan.html" not in names(small_disk)


WRITER = """
import sys; sys.path[:0] = [{root!r}, {tests!r}]
from pathlib import Path
from test_folders import writer
from condense_compiler.files import replace_folder
for number in range(25):
    text = f"{{sys.argv[1]}}{{number}}"
    replace_folder(Path("out"), writer(model=text, plan=text, **{{sys.argv[1]: text}}))
"""


def test_several_writers_and_a_reader(tmp_path: Path) -> None:
    """Whoever reads sees the files of one of them, all together."""
    paths = {"root": str(ROOT / "tests"), "tests": str(Path(__file__).parent)}
    code = WRITER.format(**paths)
    writers = [subprocess.Popen([sys.executable, "-c", code, name], cwd=tmp_path) for name in "abc"]
    out = tmp_path / "out"
    (tmp_path / "never").mkdir()
    while any(process.poll() is None for process in writers):
        with reading_folder(out):
            if out.is_dir():
                found = content(out)
                listed = {e["file"] for e in json.loads(found["report.json"])["artefacts"]}
                assert set(found) == listed | {"report.json"}
                assert len({found[name] for name in listed}) == 1
    assert [process.wait() for process in writers] == [0, 0, 0]
    assert names(tmp_path) == {"out", "never"}
    assert len(names(out)) == 4


def test_a_writer_waits_for_readers(tmp_path: Path, way: str) -> None:
    out = tmp_path / "out"
    replace_folder(out, writer(model="a"))
    second = threading.Thread(target=replace_folder, args=(out, writer(model="b")))
    with reading_folder(out):
        second.start()
        second.join(0.2)
        assert (out / "model").read_text() == "a"
    second.join()
    assert (out / "model").read_text() == "b", way
