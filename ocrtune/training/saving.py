"""Say it plainly where weights can't be saved: libraries report a full disk in words of their own."""

from contextlib import contextmanager
from errno import EDQUOT, EFBIG, ENOSPC

# Of torch's and safetensors' words for it: "[enforce fail at inline_container.cc:603] . unexpected pos", "PytorchStreamWriter failed
# writing file", "I/O error: No space left on device (os error 28)".
FULL = ("unexpected pos", "failed writing", "write failed", *(f"os error {number})" for number in (EDQUOT, EFBIG, ENOSPC)))


def is_full(error: Exception) -> bool:
    """Return whether an error says that there was no room."""
    return getattr(error, "errno", None) in (EDQUOT, EFBIG, ENOSPC) or any(word in str(error) for word in FULL)


@contextmanager
def clear_when_full(what: str, advice: str):
    """Turn what safetensors, torch and the system say of a failed write into a `ValueError` that names `what`, and where there was
    no room gives `advice`. An error of another kind passes."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        if not is_full(error) and not isinstance(error, OSError):
            raise
        raise ValueError(f"{what}: can't be saved: {str(error).splitlines()[0]}{f'; {advice}' if is_full(error) else ''}") from error
