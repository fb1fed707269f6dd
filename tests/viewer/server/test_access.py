from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest
from live_server import Answer, LiveServer, live_server

from cam.explain.model import CamModel
from cam.viewer.server.access import SECURITY_HEADERS

TOKEN = "a token / of many; characters="


@pytest.fixture(scope="module")
def reachable(model: CamModel) -> Iterator[LiveServer]:
    """Return a server with the rules of one that other machines reach."""
    with live_server(model, host="0.0.0.0", token=TOKEN) as server:
        yield server


def get(server: LiveServer, path: str = "/api/models", **headers: str) -> Answer:
    said = {"Host": f"127.0.0.1:{server.port}"}
    said |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in said.items())
    return server.send(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost", "localhost:99", "[::1]:{port}"])
def test_names_of_this_machine_are_answered(live: LiveServer, host: str) -> None:
    assert get(live, Host=host.format(port=live.port)).status == 200


@pytest.mark.parametrize(
    "host", ["rebound.example", "127.0.0.1.example", "192.168.0.7:8000", "", "[", "a@localhost.b"]
)
def test_other_names_are_not_answered_so_that_rebinding_dns_gains_nothing(
    live: LiveServer, host: str
) -> None:
    answer = get(live, Host=host)
    assert answer.status == 403
    assert "not a name of this server" in answer.detail


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"},
    ],
)
def test_pages_of_other_sites_get_nothing(live: LiveServer, headers: dict[str, str]) -> None:
    answer = get(live, **headers)
    assert answer.status == 403
    assert "other sites" in answer.detail


def test_the_page_itself_may_ask(live: LiveServer) -> None:
    assert get(live, Origin=live.url, Sec_Fetch_Site="same-origin").status == 200
    assert get(live, "/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate").status != 403


def test_every_answer_has_the_security_headers(live: LiveServer) -> None:
    policy = SECURITY_HEADERS["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    answers = [
        get(live),
        get(live, Host="x"),
        get(live, "/nothing"),
        live.send(b"nonsense\r\n\r\n"),
    ]
    assert [answer.status for answer in answers] == [200, 403, 404, 400]
    for answer in answers:
        assert SECURITY_HEADERS.items() <= answer.headers.items()
        assert "server" not in answer.headers


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Cookie": "cam_token="},
        {"Cookie": f"other={TOKEN}"},
        {"Authorization": "Bearer \xff"},
    ],
)
def test_without_the_token_nothing_is_answered(
    reachable: LiveServer, headers: dict[str, str]
) -> None:
    for path in ("/", "/api/models", "/openapi.json", "/viewer.js", "/nothing"):
        answer = get(reachable, path, **headers)
        assert answer.status == 401
        assert TOKEN not in answer.detail
        assert answer.headers["www-authenticate"] == "Bearer"
    assert get(reachable, "/api/health").status == 200
    assert get(reachable, f"/api/models?token={quote(TOKEN)}").status == 401
    assert get(reachable, "/?token=wrong").status == 401


def test_programs_bring_the_token_in_a_header(reachable: LiveServer) -> None:
    assert get(reachable, Authorization=f"Bearer {TOKEN}").status == 200


def test_a_browser_brings_it_once_in_the_address_and_keeps_it_in_a_cookie(
    reachable: LiveServer,
) -> None:
    with httpx.Client(base_url=reachable.url, trust_env=False) as browser:
        answer = browser.get("/", params={"token": TOKEN})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert browser.get("/api/models").status_code == 200


def test_a_reachable_server_is_found_by_any_address_but_not_by_any_name(
    reachable: LiveServer,
) -> None:
    authorization = f"Bearer {TOKEN}"
    assert get(reachable, Host="192.168.0.7:8000", Authorization=authorization).status == 200
    assert get(reachable, Host="elsewhere.example", Authorization=authorization).status == 403


def test_the_page_and_its_parts_come_from_the_package(live: LiveServer) -> None:
    answer = get(live, "/viewer.js")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cache-control"] == "no-cache"
    assert get(live, "/payload.py").status == 404


def test_the_template_of_reports_is_no_page(live: LiveServer) -> None:
    assert get(live, "/live.html").status == 200
    assert get(live, "/report.html").status == 404
