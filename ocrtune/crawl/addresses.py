"""Name what a crawl finds: an address is a URL without fragment, or a place in the served folder.

The folder's port differs from run to run, so its files are known as `folder:/place` and appear in
rows under the folder's own name.
"""

import posixpath
from collections.abc import Iterable
from urllib.parse import quote, unquote_to_bytes, urldefrag, urlsplit, urlunsplit

FOLDER = "folder:"


class AddressBook:
    """Translates between addresses and the URLs to ask, and says which addresses a crawl may visit."""

    def __init__(self, base: str, folder_name: str, is_file: bool, domains: Iterable[str]) -> None:
        """`base` is where the folder is served; `is_file` says that `folder_name` names a single file."""
        self.base, self.folder_name, self.is_file = base, folder_name, is_file
        self.domains = tuple(domain.lower().rstrip(".") for domain in domains)

    def address(self, url: str) -> str | None:
        """Return the address of a URL, or None for what is not fetched over HTTP (mailto:, javascript:)."""
        parts = urlsplit(urldefrag(url).url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            return None
        if url == self.base or url.startswith(f"{self.base}/"):
            place = posixpath.normpath("/" + unquote_to_bytes(parts.path).decode("latin-1")).replace("//", "/")
            place += "/" if parts.path.endswith("/") and place != "/" else ""
            return FOLDER + quote(place.encode("latin-1"))
        return urlunsplit((parts.scheme, parts.netloc.lower(), parts.path or "/", parts.query, ""))

    def url(self, address: str) -> str:
        """Return the URL to ask for an address."""
        return self.base + address.removeprefix(FOLDER) if address.startswith(FOLDER) else address

    def label(self, address: str) -> str:
        """Return the address as it stands in rows: a URL, or `<folder>/<place>`."""
        if not address.startswith(FOLDER):
            return address
        place = unquote_to_bytes(address.removeprefix(FOLDER)).decode("utf-8", "backslashreplace")
        return self.folder_name if self.is_file else self.folder_name + place

    def is_allowed(self, address: str) -> bool:
        """Say whether the crawl may visit an address: in the folder, or on one of the domains."""
        if address.startswith(FOLDER):
            return True
        host = (urlsplit(address).hostname or "").rstrip(".")
        return any(host == domain or host.endswith(f".{domain}") for domain in self.domains)


def domains_of(urls: Iterable[str]) -> list[str]:
    """Return the domains of seeds; a leading www. is dropped, since sites move between both names."""
    return sorted({(urlsplit(url).hostname or "").lower().removeprefix("www.") for url in urls})
