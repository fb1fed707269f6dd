from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import cam
from cam import zoo
from cam.errors import CamError
from cam.zoo.class_names import find_class, plain_name, short_name

NAMES = zoo.class_names("categories1000.txt")


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ("57", 57),
        ("n01735189", 57),
        ("garter snake", 57),
        ("Garter Snake", 57),
        ("n01735189 garter snake, grass snake", 57),
        ("ocarin", 684),
        # One of the synonyms, though other names have it in them.
        ("cup", 968),
    ],
)
def test_a_class_is_found_by_number_name_or_part_of_its_name(wanted: str, index: int) -> None:
    assert find_class(NAMES, wanted) == index


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("1000", "0 to 999"),
        ("crane", "fits 2 classes, give a number: 134 n02012849 crane; 517 n03126707 crane"),
        ("garter snaek", "nearest: garter snake"),
        ("", "no class"),
    ],
)
def test_what_is_no_class_or_several_is_refused(wanted: str, message: str) -> None:
    with pytest.raises(cam.CamError, match=message):
        find_class(NAMES, wanted)


def test_a_chosen_classs_map_is_the_one_it_has_among_the_top_classes(coffee: Path) -> None:
    model = cam.load(engine="openvino")
    top = model.explain(coffee, top=3)
    third = top.of_class(int(top.indices[2]))
    assert third.names == top.names[2:]
    assert third.probabilities == top.probabilities[2:]
    np.testing.assert_array_equal(third.maps[:, 0], top.maps[:, 2])
    np.testing.assert_array_equal(third.overlay(0), top.overlay(2))


def test_any_class_can_be_explained_and_later_asked_for(coffee: Path) -> None:
    model = cam.load(engine="openvino")
    named = model.explain(coffee, classes=["n07930864", "espresso", 968])
    assert named.names == tuple(NAMES[index] for index in (968, 967, 968))
    later = model.explain(coffee, top=1).of_class(968)
    np.testing.assert_array_equal(later.maps[:, 0], named.maps[:, 0])
    with pytest.raises(ValueError, match="no class 1000"):
        later.of_class(1000)


def test_names_for_people_have_no_ids_and_no_folders() -> None:
    assert plain_name("class 3") == "class 3"
    assert short_name("n01440764 tench, Tinca tinca") == "tench"
    places = [short_name(name) for name in zoo.class_names("categories_places205.txt")]
    assert places[:2] == ["abbey", "airport terminal"]
    assert not any("/" in name or "_" in name for name in places)


def test_a_name_with_one_slash_is_a_name() -> None:
    assert short_name("/abbey") == "abbey"


def test_named_classes_may_be_of_a_network_with_fewer_than_the_top_ones(
    coffee: Path,
) -> None:
    model = cam.load(engine="openvino")
    found = model.explain(coffee, top=5000, classes=["espresso"])
    assert found.names == model.explain(coffee, top=1).names


def test_a_number_of_thousands_of_digits_is_no_class() -> None:
    with pytest.raises(CamError, match="no class 9999"):
        find_class(NAMES, "9" * 5000)
