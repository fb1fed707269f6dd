"""Who may ask: the Host and the Origin of a request, its token, and the headers of each answer.

A page of any other site can send requests to a server on this machine. Browsers say in `Origin`
and `Sec-Fetch-Site` where a request comes from; a name that such a site lets point here (DNS
rebinding) stands in `Host`. A server that others can reach asks for a token.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import logging
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from cam.viewer.server.limits import RefusedError, busy

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

SECURITY_HEADERS: Mapping[str, str] = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
"""What every answer says to browsers, refusals included."""

COOKIE = "cam_token"
"""In which a browser keeps the token that stood in the address of the page."""

PAGE = "/"
"""The path of the page, in whose address the token may stand."""

OPEN_PATHS = ("/api/health",)
"""What is answered without a token."""

_LOGGER = logging.getLogger("cam.serve")


def is_loopback(host: str) -> bool:
    """Tell whether a name or address is only reached from this machine.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    if host.lower() == "localhost":
        return True
    return _is_address(host) and ipaddress.ip_address(host).is_loopback


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class AccessRules:
    """What a request must bring.

    Attributes
    ----------
    only_loopback : bool
        Whether the server is reached from this machine only.
    token : str or None
        What it must know.
    names : frozenset of str
        Names of this machine beside its addresses, in lower case.
    """

    only_loopback: bool = True
    token: str | None = None
    names: frozenset[str] = frozenset()

    @classmethod
    def of(cls, host: str, token: str | None, names: Iterable[str] = ()) -> AccessRules:
        """Return the rules of a server that listens at an address."""
        if is_loopback(host):
            return cls(True, token, frozenset(name.lower() for name in names))
        own = {host, socket.gethostname(), socket.getfqdn(), *names}
        return cls(False, token, frozenset(name.lower() for name in own))

    def check(self, headers: Mapping[str, str], path: str, query: str) -> None:
        """Refuse a request that does not come from where it may.

        Parameters
        ----------
        headers : mapping of str to str
            Its headers, their names in lower case.
        path, query : str
            Of its address.

        Raises
        ------
        RefusedError
            With 403 for its Host or Origin, 401 for its token.
        """
        host = headers.get("host", "")
        if not self._is_own_name(_host_name(host)):
            raise RefusedError(
                403, f"not a name of this server: {host[:100]!r}; cam serve --allow-host allows one"
            )
        origin = headers.get("origin")
        is_foreign = origin is not None and urlsplit(origin).netloc.lower() != host.lower()
        is_navigation = headers.get("sec-fetch-mode") == "navigate" and not path.startswith("/api")
        is_cross_site = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if is_foreign or (is_cross_site and not is_navigation):
            raise RefusedError(403, "requests of other sites' pages are not served")
        of_page = query if path == PAGE else ""
        if path not in OPEN_PATHS and not self.is_known(headers, of_page):
            raise RefusedError(
                401,
                "this server asks for its token: in the page's address, /?token=…, or as the "
                "header Authorization: Bearer …",
                www_authenticate="Bearer",
            )

    def _is_own_name(self, name: str) -> bool:
        if is_loopback(name) or name in self.names:
            return True
        # Rebinding needs a name: an address leads nowhere else.
        return not self.only_loopback and _is_address(name)

    def is_known(self, headers: Mapping[str, str], query: str) -> bool:
        """Tell whether a request has the token, where there is one."""
        if self.token is None:
            return True
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        given = [bearer.strip() if scheme.lower() == "bearer" else ""]
        given += [unquote(value) for value in _cookies(headers.get("cookie", ""))]
        given += parse_qs(query).get("token", [])
        wanted = self.token.encode()
        return any(hmac.compare_digest(each.encode(), wanted) for each in given)

    def cookie_to_set(self, query: str) -> str | None:
        """Return the cookie that keeps the token of a page's address, if it stands there."""
        if self.token is None or "token" not in parse_qs(query):
            return None
        return f"{COOKIE}={quote(self.token, safe='')}; Path=/; HttpOnly; SameSite=Strict"


def _host_name(host: str) -> str:
    """Return the name in a Host header, without its port and brackets; empty if it is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _cookies(header: str) -> list[str]:
    pairs = (pair.strip().partition("=") for pair in header.split(";"))
    return [value for name, _, value in pairs if name == COOKIE]


class Guard:
    """Stands before an application: checks requests, completes answers, keeps errors to a line.

    Parameters
    ----------
    application : callable
        The ASGI application.
    rules : AccessRules
        What requests must bring.
    """

    def __init__(self, application: Application, rules: AccessRules) -> None:
        self._application = application
        self._rules = rules

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        has_begun = False
        kept = b"no-store" if scope["path"].startswith("/api/") else b"no-cache"

        async def send_completed(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                message["headers"] = [
                    *message.get("headers", []),
                    *_HEADERS,
                    (b"cache-control", kept),
                ]
            await send(message)

        try:
            headers = {
                name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
            }
            query = scope["query_string"].decode("latin-1")
            self._rules.check(headers, scope["path"], query)
            cookie = self._rules.cookie_to_set(query)
            if cookie is not None and scope["path"] == PAGE:
                # The token then stands in no address that a browser keeps or shows.
                moved = RefusedError(303, "the page is at /", location=PAGE, set_cookie=cookie)
                await send_refusal(moved, send_completed)
                return
            await self._application(scope, receive, send_completed)
        except RefusedError as error:
            await send_refusal(error, send_completed)
        except asyncio.CancelledError:
            # The time of a server that is stopping is over.
            if has_begun:
                raise
            await send_refusal(busy("the server is stopping"), send_completed)
        except Exception:
            # Answered already; it comes through to be logged.
            _LOGGER.exception("%s %s", scope["method"], scope["path"])
            if not has_begun:
                raise


_HEADERS = [(name.encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]


def detail_of(text: str) -> bytes:
    """Return the body of a refusal: JSON with one line."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return json.dumps({"detail": line}).encode()


async def send_refusal(error: RefusedError, send: Send) -> None:
    """Send the answer of a request that is refused."""
    body = detail_of(error.detail)
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        **error.headers,
    }
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
