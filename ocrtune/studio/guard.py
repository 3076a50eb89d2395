"""Stand between browser and app: who may ask, from which page, and for what.

A server on loopback is still reached by every web page that its user opens: through a name that
resolves to 127.0.0.1 (DNS rebinding) or by a form that posts there. So the host asked for must be
the one served, and what changes anything must come from our own pages.
"""

import base64
import binascii
import hmac
import ipaddress
import os
from collections.abc import Mapping
from urllib.parse import urlsplit

AUTH_VARIABLE = "OCRTUNE_STUDIO_AUTH"

# Doors of Gradio that the studio leaves shut: it takes no uploads, and serves pictures by routes of its own.
SHUT = ("upload", "file=", "file/", "proxy=", "stream/", "component_server", "deep_link", "process_recording")

# Nothing is loaded from or sent to anywhere else, whatever a text or a package would like.
POLICY = ("default-src 'self'", "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:", "style-src 'self' 'unsafe-inline'",
          "img-src 'self' data: blob:", "font-src 'self' data:", "connect-src 'self'", "object-src 'none'", "base-uri 'self'",
          "form-action 'self'", "frame-ancestors 'none'")
HEADERS = {"content-security-policy": "; ".join(POLICY), "x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}


def is_loopback(host: str) -> bool:
    """Return whether a host name or address reaches this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def read_accounts(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return {name: password} of `OCRTUNE_STUDIO_AUTH="anna:secret,ben:other"`; one that is no such list is a `ValueError`."""
    accounts = {}
    for number, entry in enumerate(filter(None, environment.get(AUTH_VARIABLE, "").split(",")), 1):
        name, _, password = entry.partition(":")
        if not (name.strip() and password):
            raise ValueError(f"{AUTH_VARIABLE}: entry {number} is not name:password; separate accounts by commas")
        accounts[name.strip()] = password
    return accounts


def check_host(host: str, accounts: dict[str, str], origin: str = "") -> None:
    """Refuse to serve beyond loopback without accounts; `origin`: that of a proxy which others ask."""
    if origin and not accounts:
        raise ValueError(f"--public_origin {origin}: others could read and change the project; set {AUTH_VARIABLE}=name:password "
                         "in the environment")
    if not is_loopback(host) and not accounts:
        raise ValueError(f"--server_name {host}: others could read and change the project; set {AUTH_VARIABLE}=name:password "
                         "in the environment, or leave --server_name at 127.0.0.1")


def read_origin(text: str | None) -> str:
    """Return the origin that a proxy serves the studio under (`https://studio.example`); one that is none is a `ValueError`."""
    parts = urlsplit((text or "").strip().rstrip("/").lower())
    if text and (parts.scheme not in ("http", "https") or not parts.hostname or parts.geturl() != f"{parts.scheme}://{parts.netloc}"):
        raise ValueError(f"--public_origin {text}: not an origin; write scheme and host, as https://studio.example")
    return parts.geturl()


def name_account(authorization: str | None) -> str | None:
    """Return the name in a header of HTTP Basic authentication; None where there is none."""
    entry = split_authorization(authorization)
    return entry[0] if entry else None


def split_authorization(authorization: str | None) -> tuple[str, str] | None:
    """Return name and password of the header `Basic ...` (RFC 7617)."""
    kind, _, code = (authorization or "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(code, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (name, password) if colon else None


class Guard:
    """ASGI middleware: judges each request before the app sees it, and adds `HEADERS` to each answer.

    `origin`: what a proxy serves the studio under, if one does; the app is told its scheme, which the proxy alone has seen.
    """

    def __init__(self, app, accounts: dict[str, str], is_local: bool, origin: str = ""):
        self.app, self.accounts, self.is_local, self.origin = app, accounts, is_local, urlsplit(origin)

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope.get("headers", [])}
        refusal = (404, "not here") if scope["type"] != "http" else self.judge(scope["method"], scope["path"], headers)
        if refusal:
            return await refuse(send, *refusal)

        if self.origin.netloc and headers.get("host", "").lower() == self.origin.netloc:
            scope = scope | {"scheme": self.origin.scheme}

        async def send_guarded(message):
            if message["type"] == "http.response.start":
                ours = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message = message | {"headers": [*message.get("headers", []), *ours]}
            await send(message)

        return await self.app(scope, receive, send_guarded)

    def judge(self, method: str, path: str, headers: dict[str, str]) -> tuple[int, str] | None:
        """Return status and reason where a request is refused."""
        host = headers.get("host", "")
        is_public = bool(self.origin.netloc) and host.lower() == self.origin.netloc
        if self.is_local and not is_public and not is_loopback(urlsplit(f"//{host}").hostname or ""):
            return 403, f"the studio serves this machine alone, not {host!r}"
        if self.accounts:
            given = split_authorization(headers.get("authorization"))
            if given is None or not hmac.compare_digest(self.accounts.get(given[0], "").encode(), given[1].encode()) or not given[1]:
                return 401, "name and password, please"
        origin = headers.get("origin")
        if method not in ("GET", "HEAD") and origin is not None and urlsplit(origin).netloc != host and origin != self.origin.geturl():
            return 403, "this request comes from another web site"
        if path.startswith("/gradio_api/") and path.removeprefix("/gradio_api/").startswith(SHUT):
            return 403, "the studio has no such door"
        return None


async def refuse(send, status: int, reason: str) -> None:
    """Answer with a plain sentence."""
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="ocrtune studio", charset="UTF-8"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": reason.encode()})
