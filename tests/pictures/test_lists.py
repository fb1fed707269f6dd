from __future__ import annotations

import io
import os
import tarfile
import time
import tracemalloc
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cam.errors import CamError, MissingFileError
from cam.pictures.lists import (
    Entry,
    find_pictures,
    local_files,
    read_list,
    with_unique_stems,
)
from cam.pictures.reading import read_picture, write_picture
from cam.zoo import find_class

CLASSES = [
    "n01440764 tench, Tinca tinca",
    "n01443537 goldfish, Carassius auratus",
    "n02391049 zebra",
]
INDEX = partial(find_class, CLASSES)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Return a folder with three pictures, one in a folder of its own, and something else."""
    folder = tmp_path / "pictures"
    for number, name in enumerate(("b.png", "a/c.PNG", "a/d.jpg")):
        write_picture(folder / name.lower(), np.full((8, 9, 3), 40 * number, np.uint8))
    (folder / "a/c.png").rename(folder / "a/c.PNG")
    (folder / "notes.txt").write_text("not a picture")
    return folder


def names(*inputs: object, **more: object) -> list[str]:
    return [entry.name for entry in find_pictures(list(map(str, inputs)), **more)]  # type: ignore[arg-type]


def test_a_folder_gives_its_pictures_sorted_with_those_of_its_folders(pictures: Path) -> None:
    assert names(pictures) == ["a/c.PNG", "a/d.jpg", "b.png"]


def test_inputs_keep_their_order(pictures: Path) -> None:
    assert names(pictures / "b.png", pictures / "a")[1:] == ["c.PNG", "d.jpg"]


def test_a_pattern_gives_what_fits_it(pictures: Path) -> None:
    assert names(pictures / "**" / "*.jpg") == [str(pictures / "a" / "d.jpg")]


def test_a_list_gives_its_lines_in_their_order_from_its_own_folder(pictures: Path) -> None:
    listed = pictures / "list.txt"
    listed.write_text("b.png\n\na/d.jpg\nmissing picture.jpg\n")
    entries = list(find_pictures([listed]))
    assert [entry.name for entry in entries] == ["b.png", "a/d.jpg", "missing picture.jpg"]
    assert entries[1].path == str(pictures / "a" / "d.jpg")
    assert {entry.label for entry in entries} == {None}


def test_a_list_of_caffe_gives_labels_and_starts_from_the_root(
    pictures: Path, tmp_path: Path
) -> None:
    listed = tmp_path / "val.txt"
    listed.write_text("b.png 2\na/d.jpg 0\n")
    first, second = find_pictures([listed], INDEX, root=pictures)
    assert (first.name, first.path, first.label) == ("b.png", str(pictures / "b.png"), 2)
    assert (second.name, second.label) == ("a/d.jpg", 0)


def test_numbers_behind_some_names_only_are_no_labels(tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("photo 1\nb.png\n")
    assert [(entry.name, entry.label) for entry in find_pictures([listed])] == [
        ("photo 1", None),
        ("b.png", None),
    ]


def test_a_table_gives_labels_by_number_name_and_wordnet_id(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text(
        'x,Image,label\n1,"a, b.png",goldfish\n2,c.png,2\n3,d.png,n01440764\n4,e.png,\n'
    )
    found = [(entry.name, entry.label) for entry in find_pictures([table], INDEX)]
    assert found == [("a, b.png", 1), ("c.png", 2), ("d.png", 0), ("e.png", None)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("picture,label\na.png,1\n", "names no column path"),
        ("path,label\na.png,quagga\n", "line 2: no class 'quagga'"),
        ("path,label\na.png,7\n", "line 2: no class 7"),
        ("path,label\n,1\n", "line 2: no path"),
        ("path\n", "no pictures"),
    ],
)
def test_a_bad_table_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    table = tmp_path / "table.csv"
    table.write_text(text)
    with pytest.raises(CamError, match=said):
        list(find_pictures([table], INDEX))


def test_a_tar_file_is_read_in_place(pictures: Path, tmp_path: Path) -> None:
    archive = tmp_path / "pictures.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(pictures, "set")
    entries = {entry.name: entry for entry in find_pictures([archive])}
    assert sorted(entries) == ["set/a/c.PNG", "set/a/d.jpg", "set/b.png"]
    for name, entry in entries.items():
        in_folder = read_picture(pictures / name.removeprefix("set/"))
        np.testing.assert_array_equal(entry.read(), in_folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pictures", "pictures.tar"]


def test_links_and_devices_in_a_tar_file_are_passed_over(tmp_path: Path) -> None:
    archive = tmp_path / "links.tar"
    with tarfile.open(archive, "w") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            member = tarfile.TarInfo("link.png")
            member.type, member.linkname = kind, "/etc/passwd"
            tar.addfile(member)
        member = tarfile.TarInfo("../../outside.png")
        member.size = 3
        tar.addfile(member, io.BytesIO(b"abc"))
    assert names(archive) == ["../../outside.png"]


def test_a_cut_off_or_compressed_tar_file_is_refused(pictures: Path, tmp_path: Path) -> None:
    archive, packed = tmp_path / "cut.tar", tmp_path / "packed.tar.gz"
    with tarfile.open(archive, "w") as tar:
        tar.add(pictures, "set")
    whole = archive.read_bytes()
    for length in range(100, 6 * 512, 300):
        archive.write_bytes(whole[:length])
        with pytest.raises(CamError, match=r"not a whole|cut short"):
            names(archive)
    packed.write_bytes(b"")
    with pytest.raises(CamError, match="unpack it"):
        names(packed)


def test_a_member_of_absurd_size_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(bytes(2000))
    entry = Entry("big.png", str(tmp_path / "a.tar"), offset=512, size=2**40)
    with pytest.raises(CamError, match=r"big\.png: over 512 MB"):
        entry.read()


@pytest.mark.parametrize("name", ["pipe.png", "pipe.txt", "pipe.csv", "pipe.tar"])
def test_what_is_no_regular_file_is_not_opened(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    (tmp_path / f"zero-{name}").symlink_to("/dev/zero")
    for path in (tmp_path / name, tmp_path / f"zero-{name}"):
        with pytest.raises(CamError, match=r"pipe\.\w+: not a regular file"):
            for entry in find_pictures([path]):
                entry.read()


@pytest.mark.parametrize("missing", ["nothing", "nothing/*.jpg"])
def test_an_input_without_pictures_is_refused(tmp_path: Path, missing: str) -> None:
    with pytest.raises(CamError, match="nothing"):
        names(tmp_path / missing)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CamError, match="no pictures in it"):
        names(tmp_path)


def test_a_name_that_is_not_utf8_becomes_one_and_its_file_is_found(tmp_path: Path) -> None:
    try:
        path = os.fsencode(tmp_path) + b"/caf\xe9.png"
        Path(os.fsdecode(path)).write_bytes(b"")
    except OSError:
        pytest.skip("this file system has UTF-8 names only")
    (entry,) = find_pictures([tmp_path])
    assert entry.name == "caf\\xe9.png"
    assert Path(entry.path).exists()


def test_a_long_list_is_not_kept_in_memory(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        listed = tmp_path / "list.txt"
        listed.write_text("".join(f"folder/{number:08d}.jpg 1\n" for number in range(count)))
        tracemalloc.start()
        for _ in find_pictures([listed], INDEX):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    # Threads that other tests left behind allocate as well, now and then.
    long, short = (min(peak(count) for _ in range(5)) for count in (5000, 500))
    assert long < 1.1 * short + 10_000


# --- labels, lines and bytes of others ------------------------------------------------------------


def test_labels_stay_as_they_are_where_nobody_looks_them_up(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("path,label\na.png,goldfish\nb.png,\n")
    (tmp_path / "list.txt").write_text("a.png 65\n")
    inputs = [tmp_path / "table.csv", tmp_path / "list.txt"]
    assert [entry.label for entry in find_pictures(inputs)] == ["goldfish", None, "65"]


@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["", "\n", "\n\n \n", "\r\n\r\n"])
def test_a_byte_order_mark_and_blank_last_lines_do_not_matter(
    tmp_path: Path, start: str, end: str
) -> None:
    (tmp_path / "list.txt").write_bytes(f"{start}a.png 1\r\nb c.png\t0{end}".encode())
    (tmp_path / "table.csv").write_bytes(f"{start}path,label\na.png,1\nb c.png,0{end}".encode())
    for file in (tmp_path / "list.txt", tmp_path / "table.csv"):
        found = [(entry.name, entry.label) for entry in find_pictures([file], INDEX)]
        assert found == [("a.png", 1), ("b c.png", 0)]


def test_a_label_column_is_the_one_that_is_named_so(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("path,\na.png,no label\n")
    assert [entry.label for entry in find_pictures([tmp_path / "table.csv"], INDEX)] == [None]


@pytest.mark.parametrize("digits", [5000, 60000])
@pytest.mark.parametrize("index", [None, INDEX])
def test_an_endless_label_is_refused_with_its_line(
    tmp_path: Path, digits: int, index: partial[int] | None
) -> None:
    (tmp_path / "list.txt").write_text(f"a.png 1\nb.png {'9' * digits}\n")
    (tmp_path / "table.csv").write_text(f"path,label\nb.png,{'9' * digits}\n")
    for name in ("list.txt", "table.csv"):
        with pytest.raises(CamError, match=rf"{name}, line 2: a label of {digits} char") as raised:
            list(find_pictures([tmp_path / name], index))
        assert len(str(raised.value)) < 300


def test_an_endless_line_is_refused_and_not_read(tmp_path: Path) -> None:
    for name, start in (("list.txt", "a.png\n"), ("table.csv", "path\n")):
        with (tmp_path / name).open("w") as file:
            file.write(start + "x")
            file.truncate(2**34)
        with pytest.raises(CamError, match=rf"{name}, line 2: over 65536 characters"):
            list(find_pictures([tmp_path / name]))


def test_a_nul_in_a_table_is_that_pictures_failure(pictures: Path) -> None:
    table = pictures / "table.csv"
    table.write_bytes(b"path\nb.png\nb\0.png\na/d.jpg\n")
    first, bad, last = find_pictures([table])
    assert (first.read().shape, last.read().shape) == ((8, 9, 3), (8, 9, 3))
    with pytest.raises(CamError, match=r"b\\x00\.png: No such file") as raised:
        bad.read()
    assert "\0" not in str(raised.value)


def test_a_nul_in_a_list_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"a.png\nb\0.png\n")
    with pytest.raises(CamError, match=r"list\.txt, line 2: not text"):
        list(find_pictures([tmp_path / "list.txt"]))


@pytest.mark.parametrize("name", ["list.txt", "table.csv"])
def test_a_file_in_utf16_is_named_as_such(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes("path\na.png\n".encode("utf-16"))
    with pytest.raises(CamError, match=rf"{name}: not a text file in UTF-8 but in UTF-16"):
        list(find_pictures([tmp_path / name]))


def test_a_name_longer_than_any_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CamError, match="File name too long"):
        names("x" * 5000)
    (tmp_path / "list.txt").write_text(f"{'x' * 5000}.png\n")
    (entry,) = find_pictures([tmp_path / "list.txt"])
    with pytest.raises(CamError, match="File name too long"):
        entry.read()


def test_folders_lie_in_each_other_as_deep_as_they_may(tmp_path: Path) -> None:
    folders = [tmp_path]
    for _ in range(1200):
        folders.append(folders[-1] / "a")
        folders[-1].mkdir()
    picture = folders[-1] / "b.png"
    picture.write_bytes(b"")
    try:
        assert [Path(name).name for name in names(tmp_path)] == ["b.png"]
    finally:
        picture.unlink()
        for folder in reversed(folders[1:]):
            folder.rmdir()


def tar_header(name: bytes, size: int) -> bytearray:
    member = tarfile.TarInfo(name.decode())
    member.size = max(size, 0)
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    if size < 0:
        header[124:136] = b"\xff" * 4 + size.to_bytes(8, "big", signed=True)
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
    return header


@pytest.mark.parametrize("kind", [b"0", tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
@pytest.mark.parametrize("size", [-512, -1024, 2**40])
def test_a_tar_file_whose_headers_lie_is_refused(tmp_path: Path, kind: bytes, size: int) -> None:
    header = tar_header(b"a.png", size)
    header[156:157] = kind
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    (tmp_path / "lying.tar").write_bytes(tar_header(b"b.png", 0) + header)
    began = time.monotonic()
    with pytest.raises(CamError, match=r"not a whole|cut short"):
        names(tmp_path / "lying.tar")
    assert time.monotonic() - began < 2


def test_local_files_are_there_and_of_their_own(pictures: Path, tmp_path: Path) -> None:
    assert local_files(find_pictures([pictures / "a"])) == [
        pictures / "a" / "c.PNG",
        pictures / "a" / "d.jpg",
    ]
    (tmp_path / "list.txt").write_text("missing.png\n")
    with pytest.raises(MissingFileError, match=r"missing\.png"):
        local_files(read_list(tmp_path / "list.txt"))
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.add(pictures, "set")
    with pytest.raises(CamError, match=r"is inside .*a\.tar; unpack it"):
        local_files(find_pictures([tmp_path / "a.tar"]))


def test_pictures_of_one_name_are_told() -> None:
    entries = [Entry("a/x.png", "/a/x.png"), Entry("b/y.png", "/b/y.png")]
    assert list(with_unique_stems(entries)) == entries
    with pytest.raises(CamError, match=r"two pictures called x, .*a/x\.png and c/x\.jpg"):
        list(with_unique_stems([*entries, Entry("c/x.jpg", "/c/x.jpg")]))


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), name=st.sampled_from(["list.txt", "table.csv", "files.tar"]))
def test_mutated_lists_tables_and_tar_files_are_read_or_refused(
    tmp_path: Path, data: st.DataObject, name: str
) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member in ("a.png", f"{'long' * 40}.png", "é.png"):
            info = tarfile.TarInfo(member)
            info.size = 3
            tar.addfile(info, io.BytesIO(b"abc"))
    seed = {
        "list.txt": b"a/b.png 1\nc d.png 2\n",
        "table.csv": b'path,label\n"a, b.png",goldfish\nc.png,2\n',
        "files.tar": buffer.getvalue(),
    }[name]
    content = bytearray(seed)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / name).write_bytes(content)
    try:
        for entry in find_pictures([tmp_path / name], INDEX):
            assert entry.name
    except CamError as error:
        assert "\n" not in str(error)
