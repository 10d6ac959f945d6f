from pathlib import Path

import pytest

from condense_compiler.errors import InputError
from condense_compiler.memory.buffers import Buffer
from condense_compiler.memory.buffers_csv import read_buffers, write_plan
from condense_compiler.memory.planner import plan

HEADER = "id,lower,upper,size\n"


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "buffers.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_columns_in_any_order(tmp_path: Path) -> None:
    text = "size, upper,note,ID,lower\n10,4,x,a,0\n\n0,9,,b,-5\n"
    assert read_buffers(written(tmp_path, text)) == [
        Buffer("a", 0, 4, 10),
        Buffer("b", -5, 9, 0),
    ]


def test_optional_columns(tmp_path: Path) -> None:
    text = "id,lower,upper,size,alignment,pinned,gaps\na,0,9,8,4,16,2-3;5-7\nb,0,9,8,,,\n"
    assert read_buffers(written(tmp_path, text)) == [
        Buffer("a", 0, 9, 8, 4, 16, ((2, 3), (5, 7))),
        Buffer("b", 0, 9, 8),
    ]


def test_windows_files_are_read(tmp_path: Path) -> None:
    text = b"\xef\xbb\xbfid,lower,upper,size\r\na,0,1,2\r\n"
    assert read_buffers(written(tmp_path, text)) == [Buffer("a", 0, 1, 2)]


def test_ten_gigabytes_are_read(tmp_path: Path) -> None:
    size = 10 * 2**30
    assert read_buffers(written(tmp_path, f"{HEADER}a,0,1,{size}\n"))[0].size == size


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["empty", "id,lower,upper,size"]),
        ("\n\n", ["empty"]),
        (HEADER, ["no buffers"]),
        ("id,lower,size\na,0,1\n", ["line 1", "'upper'"]),
        ("id,id,lower,upper,size\na,b,0,1,1\n", ["line 1", "'id'", "twice"]),
        (f"{HEADER}a,0,1\n", ["line 2", "3 values", "4 columns"]),
        (f"{HEADER}a,0,1,2,3\n", ["line 2", "5 values"]),
        (f"{HEADER}a,0,1,x\n", ["line 2", "size", "'x'", "integer"]),
        (f"{HEADER}a,0,1,1.5\n", ["line 2", "size", "'1.5'"]),
        (f"{HEADER}a,0,1,\n", ["line 2", "size"]),
        (f"{HEADER}a,0,2,1\nb,3,3,1\n", ["line 3", "lower 3", "upper 3"]),
        (f"{HEADER}a,5,2,1\n", ["line 2", "lower 5"]),
        (f"{HEADER}a,0,1,-1\n", ["line 2", "size -1", "negative"]),
        (f"{HEADER}a,0,1,1\n\na,2,3,1\n", ["line 4", "'a'", "line 2"]),
        (f"{HEADER},0,1,1\n", ["line 2", "id is empty"]),
        (f"{HEADER}a,0,1,{2**64}\n", ["line 2", "out of range"]),
        (f"{HEADER}a,0,1,{'9' * 5000}\n", ["line 2", "size"]),
        (f'{HEADER}"a,0,1,1\n', ["line 2", "CSV"]),
        (b"\x89PNG\r\n\x1a\n\x00\xff\xfe", ["not a text file"]),
        ("id,lower,upper,size,alignment\na,0,1,1,0\n", ["line 2", "alignment 0"]),
        ("id,lower,upper,size,pinned\na,0,1,1,-4\n", ["line 2", "pinned -4"]),
        ("id,lower,upper,size,gaps\na,0,9,1,3\n", ["line 2", "3-5;8-9"]),
        ("id,lower,upper,size,gaps\na,0,9,1,5-4\n", ["line 2", "rise"]),
        ("id,lower,upper,size,gaps\na,0,9,1,0-9\n", ["line 2", "nothing"]),
    ],
)
def test_bad_input_is_refused_in_one_line(
    tmp_path: Path, text: str | bytes, words: list[str]
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(InputError) as caught:
        read_buffers(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    for word in words:
        assert word in message


@pytest.mark.parametrize("name", ["absent.csv", "."])
def test_unreadable_files_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="cannot read"):
        read_buffers(tmp_path / name)


def test_a_plan_can_be_read_back(tmp_path: Path) -> None:
    buffers = [
        Buffer("a", 0, 9, 8, 4, 16, ((2, 3), (5, 7))),
        Buffer("b, with comma", 0, 9, 8),
    ]
    target = tmp_path / "plan.csv"
    result = plan(buffers)
    write_plan(target, buffers, result)
    assert read_buffers(target) == buffers
    lines = target.read_text().splitlines()
    assert lines[0] == "id,lower,upper,size,alignment,pinned,gaps,offset"
    assert lines[1].endswith(f",{result.offsets['a']}")
    assert list(tmp_path.iterdir()) == [target]


def test_plain_plans_have_plain_columns(tmp_path: Path) -> None:
    target = tmp_path / "plan.csv"
    write_plan(target, [Buffer("a", 0, 1, 5)], plan([Buffer("a", 0, 1, 5)]))
    assert target.read_text() == "id,lower,upper,size,offset\na,0,1,5,0\n"


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    buffers = [Buffer("a", 0, 1, 5)]
    with pytest.raises(InputError, match="cannot be written"):
        write_plan(tmp_path / "absent" / "plan.csv", buffers, plan(buffers))
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        write_plan(folder, buffers, plan(buffers))
    assert list(tmp_path.iterdir()) == [folder]
