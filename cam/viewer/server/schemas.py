"""What requests may ask for and what JSON answers hold, as the OpenAPI document says it.

Answers are not made of these classes, which would cost time: tests hold the two together.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MOST_CLASSES = 20
"""That one request explains."""

Text = Annotated[str, Field(max_length=200)]


class ExplainQuery(BaseModel):
    """Which model explains which classes of a picture, and how."""

    model_config = ConfigDict(extra="forbid")

    model: Text | None = Field(None, description="A name of /api/models; its default if not given.")
    style: Literal["pycaffe", "matlab"] = Field(
        "pycaffe", description="One center crop, as the pycaffe port, or ten, as the original."
    )
    placement: Literal["stretch", "crop"] = Field(
        "stretch",
        description="Of the center crop's map: over the whole picture, or where the crop was.",
    )
    top: int | None = Field(
        None,
        ge=1,
        le=MOST_CLASSES,
        description="How many top classes; 5, or all of fewer, if not given.",
    )
    classes: list[Text] = Field(
        [],
        alias="class",
        max_length=MOST_CLASSES,
        description="A class in place of the top ones: index from 0, name or WordNet id.",
    )
    name: str = Field("picture", max_length=1000, description="What the answer calls the picture.")
    include: list[Literal["frame", "boxes", "overlays"]] = Field(
        [],
        max_length=3,
        description="What the JSON has beside classes and maps. The frame: the resized picture, "
        "on which heat maps lie; boxes in the picture's pixels; overlays in the published colours.",
    )


class OverlayQuery(ExplainQuery):
    """Which overlay."""

    k: int = Field(0, ge=0, lt=MOST_CLASSES, description="The class's rank, from 0.")
    size: str = Field(
        "frame",
        pattern=r"^(frame|picture|[1-9][0-9]{0,4})$",
        description="The published frame of 256 x 256, the picture's own pixels, or a number of "
        "pixels for its longer side.",
    )
    colormap: Text | None = Field(
        None, description="OpenCV's or matplotlib's name; the style's own colours if not given."
    )
    alpha: float | None = Field(
        None, ge=0, le=1, description="The heat's share; mixed as published if not given."
    )
    boxes: Literal["original", "paper"] | None = Field(
        None, description="Draw the class's boxes by this rule."
    )
    color_bar: bool = Field(False, description="Put the colours and their values beside it.")
    format: Literal["png", "jpg"] = Field("png", description="Of the picture.")


class ExportQuery(ExplainQuery):
    """Which file."""

    format: Literal["npz", "mat", "png"] = Field(
        "npz",
        description="NumPy's arrays; the activations and scores that the original's demo.m loads; "
        "or the montage.",
    )


class CompareQuery(ExplainQuery):
    """What the picture's result is compared with."""

    rank: int | None = Field(
        None, ge=1, le=1000, description="For a single heat map: the rank of its class, from 1."
    )


class Refusal(BaseModel):
    """Why a request is not answered."""

    detail: str = Field(description="One line.")


class Health(BaseModel):
    """That the server answers."""

    status: Literal["ok"]
    version: str


class ModelEntry(BaseModel):
    """A model on offer."""

    name: str
    note: str
    available: bool = Field(description="Whether its weights are on the server.")
    default: bool
    classes: int = Field(description="How many classes it has.")


class ModelList(BaseModel):
    """What can be asked for."""

    models: list[ModelEntry]
    styles: list[str]
    placements: list[str]


class ClassEntry(BaseModel):
    """A class of a model."""

    index: int
    name: str


class ClassList(BaseModel):
    """The classes that a search finds."""

    classes: list[ClassEntry]
    found: int = Field(description="How many there are; the list may be shorter.")


class ExplainedClass(BaseModel):
    """A class and what was found of it."""

    index: int
    name: str
    probability: float | None
    boxes: list[list[int]] = Field(description="x, y, width, height; empty if not asked for.")
    overlay: str | None = Field(None, description="Data URI, if asked for.")


class PackedMaps(BaseModel):
    """Raw maps."""

    shape: list[int] = Field(description="Crops, classes, rows, columns.")
    dtype: Literal["float32", "float16"]
    data: str = Field(description="Base64 of the numbers, little-endian, C order.")


class Explained(BaseModel):
    """A picture's classes and maps."""

    name: str
    rows: int
    columns: int
    style: str
    placement: str
    crop_size: int
    frame_size: int
    frame: str | None = Field(None, description="Data URI, if asked for.")
    classes: list[ExplainedClass]
    maps: PackedMaps
    record: dict[str, object] = Field(description="Model, engine, device, preprocessing, version.")


class Compared(BaseModel):
    """How far a picture's result is from another one."""

    model_config = ConfigDict(extra="allow")

    within: bool = Field(description="Whether everything is within the tolerance.")
    ranking: dict[str, object] | None
    quantities: list[dict[str, object]]
    notes: list[str]
