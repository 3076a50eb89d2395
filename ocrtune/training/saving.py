"""Say it plainly where weights can't be saved: libraries report a full disk in words of their own."""

from contextlib import contextmanager


@contextmanager
def clear_when_full(what: str, advice: str):
    """Turn what safetensors, torch and the system say of a failed write into a `ValueError` that names `what` and gives `advice`."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        raise ValueError(f"{what}: can't be saved: {str(error).splitlines()[0]}; {advice}") from error
