"""Make rates of counts."""


def error_rate(edits: int, length: int) -> float:
    """Return edits / length: 0 or 1 where the length is 0, by whether there are edits. May exceed 1 through insertions."""
    return edits / length if length else float(edits > 0)


def f1(matches: int, reference: int, prediction: int) -> float:
    """Return 2 x matches / (reference + prediction), the harmonic mean of precision and recall; 1 where both are empty."""
    return 2 * matches / (reference + prediction) if reference + prediction else 1.0
