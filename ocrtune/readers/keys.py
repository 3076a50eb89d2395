"""Take keys from the environment: the one place where they are."""

import os
from collections.abc import Mapping


def environment_key(variable: str) -> str:
    """Return a key without the white space around it, or an empty text; one that no header can carry is a `ValueError`."""
    key = os.environ.get(variable, "").strip()
    if not key.isascii() or not key.isprintable():
        raise ValueError(f"the environment variable {variable} holds signs that no HTTP header can carry; put the key alone there")
    return key


def environment_headers(variables: Mapping[str, str]) -> dict[str, str]:
    """Return headers, their values taken from the environment; a variable that is not set is a `ValueError`."""
    headers = {header: environment_key(variable) for header, variable in variables.items()}
    unset = [variables[header] for header, value in headers.items() if not value]
    if unset:
        raise ValueError(f"headers_env: not set in the environment: {', '.join(unset)}")
    return headers
