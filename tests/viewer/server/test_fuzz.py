"""Anything may come: requests are made from the server's own OpenAPI document, and against it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from live_server import LiveServer

FUZZ = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

PATHS = ("/api/explain", "/api/overlay", "/api/export", "/api/compare")

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)

TYPES = st.sampled_from(
    ["image/png", "application/octet-stream", "application/json", "multipart/form-data", "x"]
)


def values(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Return values that a parameter's schema allows, and a few that it does not."""
    kinds = [values(each) for each in schema.get("anyOf", [])]
    if "items" in schema:
        kinds.append(st.lists(values(schema["items"]), max_size=3))
    if "enum" in schema or "const" in schema:
        kinds.append(st.sampled_from(schema.get("enum", [schema.get("const")])))
    kinds += {
        "integer": [st.integers(schema.get("minimum", -(10**6)), schema.get("maximum", 10**6))],
        "number": [st.floats(schema.get("minimum"), schema.get("maximum"))],
        "boolean": [st.booleans()],
        "string": [TEXT] if "pattern" not in schema else [st.from_regex(schema["pattern"])],
    }.get(schema.get("type", ""), [])
    often = kinds * 4
    return st.one_of(*often, TEXT, st.integers())


def queries(document: Mapping[str, Any], path: str) -> st.SearchStrategy[dict[str, Any]]:
    parameters = document["paths"][path]["post"]["parameters"]
    each_value = {each["name"]: values(each["schema"]) for each in parameters}
    one = st.sampled_from(sorted(each_value)).flatmap(
        lambda name: st.fixed_dictionaries({name: each_value[name]})
    )
    return st.one_of(st.just({}), one, st.fixed_dictionaries({}, optional=each_value))


def damaged(file: bytes) -> st.SearchStrategy[bytes]:
    """Return the file cut short, or with some bytes replaced."""
    cut = st.integers(0, len(file)).map(lambda end: file[:end])
    replaced = st.builds(
        lambda at, other: file[:at] + other + file[at + len(other) :],
        st.integers(0, 2000),
        st.binary(min_size=1, max_size=40),
    )
    return st.one_of(st.just(file), cut, replaced, st.binary(max_size=300))


def check(document: Mapping[str, Any], path: str, answer: httpx.Response) -> None:
    """See that an answer is one that the document has, and a refusal one line."""
    known = document["paths"][path]["post"]["responses"]
    assert str(answer.status_code) in known, answer.text
    kind = answer.headers["content-type"].partition(";")[0]
    assert kind in known[str(answer.status_code)]["content"]
    if answer.status_code == 200:
        return
    said = json.loads(answer.content)
    assert list(said) == ["detail"]
    assert said["detail"].isprintable()
    assert len(said["detail"]) < 1000


@pytest.fixture(scope="module")
def document(live: LiveServer) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{live.url}/openapi.json", trust_env=False).json()
    return found


def one_request(
    data: st.DataObject, client: httpx.Client, document: Mapping[str, Any], path: str, file: bytes
) -> None:
    query = data.draw(queries(document, path))
    if path == "/api/compare" and data.draw(st.integers(0, 4)):
        names = st.sampled_from(["picture", "result", "other"])
        files = st.dictionaries(names, st.tuples(TEXT, damaged(file)), min_size=1)
        answer = client.post(path, params=query, files=data.draw(files))
    else:
        headers = data.draw(st.fixed_dictionaries({}, optional={"Content-Type": TYPES}))
        body = data.draw(damaged(file))
        answer = client.post(path, params=query, content=body, headers=headers)
    check(document, path, answer)


@pytest.mark.parametrize("path", PATHS)
@FUZZ
@given(data=st.data())
def test_whatever_is_asked_the_answer_is_one_of_the_document(
    client: httpx.Client,
    document: dict[str, Any],
    photograph: bytes,
    path: str,
    data: st.DataObject,
) -> None:
    one_request(data, client, document, path, photograph)


@FUZZ
@given(head=st.binary(max_size=200))
def test_whatever_bytes_come_the_server_goes_on(live: LiveServer, head: bytes) -> None:
    with live.connect() as connection:
        connection.sendall(head + b"\r\n\r\n")
    health = live.send(b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert health.status == 200
