"""Shapes of communities, intake, fields and presets."""

from __future__ import annotations

import datetime as dt

import pydantic
from pydantic import Field

from penstock.api.schemas.searches import CommonValue
from penstock.api.schemas.shared import Text


class CommunityRequest(pydantic.BaseModel):
    """A community to create."""

    name: Text = Field(max_length=1000, description="1 to 200 printable characters; unique.", examples=["acme"])


class Community(pydantic.BaseModel):
    """A tenant."""

    uuid: str
    name: str
    created_at: dt.datetime
    reachable: bool = Field(description="Whether the API key belongs to it; with ADMIN others are listed too.")


class CommunityPage(pydantic.BaseModel):
    """Communities of the API key."""

    items: list[Community]
    total: int


class Rejection(pydantic.BaseModel):
    """A line that was not taken in."""

    line: int = Field(description="1-based.")
    code: str = Field(description="Why, as a stable code.")
    reason: str = Field(description="Why, in words.")


class IngestResult(pydantic.BaseModel):
    """What became of the lines of the body."""

    accepted: int
    rejected: list[Rejection] = Field(description="The first 100 of them.")
    rejected_total: int = Field(description="All of them, counted.")


class FieldInfo(pydantic.BaseModel):
    """A field that can be searched and exported."""

    name: str
    type: str
    description: str = Field(description="Empty where nothing is known.")
    files: int = Field(description="Data files of the community's table that hold the field; 0: known, not yet seen.")


class FieldPage(pydantic.BaseModel):
    """Fields in alphabetical order."""

    items: list[FieldInfo]
    total: int


class CommonValues(pydantic.BaseModel):
    """The most common values of a field, the most common first."""

    items: list[CommonValue]
    events: int = Field(description="How many of the newest events with the field were looked at.")


class Preset(pydantic.BaseModel):
    """A list of fields for one kind of investigation."""

    name: str
    title: str
    fields: list[str]


class PresetPage(pydantic.BaseModel):
    """The field presets."""

    items: list[Preset]
    total: int
