from __future__ import annotations

import io
import os
import tarfile
import tracemalloc
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from cam.errors import CamError
from cam.pictures.lists import Entry, find_pictures
from cam.pictures.reading import read_picture, write_picture
from cam.zoo import find_class

CLASSES = [
    "n01440764 tench, Tinca tinca",
    "n01443537 goldfish, Carassius auratus",
    "n02391049 zebra",
]
FIND_CLASS = partial(find_class, CLASSES)


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
    first, second = find_pictures([listed], FIND_CLASS, root=pictures)
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
    found = [(entry.name, entry.label) for entry in find_pictures([table], FIND_CLASS)]
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
        list(find_pictures([table], FIND_CLASS))


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


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(CamError, match=r"pipe\.png: not a file"):
        Entry("pipe.png", str(tmp_path / "pipe.png")).read()


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
        for _ in find_pictures([listed], FIND_CLASS):
            pass
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    # Threads that other tests left behind allocate as well, now and then.
    long, short = (min(peak(count) for _ in range(5)) for count in (5000, 500))
    assert long < 1.1 * short + 10_000
