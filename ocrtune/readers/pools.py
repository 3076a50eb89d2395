"""HTTP clients that share out the connections of a reader's requests."""

import math
from collections.abc import Mapping

POOL = 16  # connections that a client holds; it looks at all of them at each request


def open_clients(concurrent_requests: int, headers: Mapping[str, str] | None = None) -> list:
    """Return so many `httpx2.AsyncClient`s that in turns they have `POOL` requests each in flight; `headers` go with every request.

    Time limits are `asyncio.timeout`'s: a client's own begin anew with each byte.
    """
    import httpx2

    limits, never = httpx2.Limits(max_keepalive_connections=None), httpx2.Timeout(None)
    return [httpx2.AsyncClient(timeout=never, limits=limits, headers=headers) for _ in range(math.ceil(concurrent_requests / POOL))]
