"""Make rates of counts."""


def error_rate(edits: int, length: int) -> float:
    """Return edits / length: 0 or 1 where the length is 0, by whether there are edits. May exceed 1 through insertions.

    One less the accuracy of S. V. Rice, F. R. Jenkins and T. A. Nartker, "The Fourth Annual Test of OCR Accuracy", 1995; what
    is done with a length of 0 is ours.
    """
    return edits / length if length else float(edits > 0)


def f1(matches: int, reference: int, prediction: int) -> float:
    """Return 2 x matches / (reference + prediction), the harmonic mean of precision and recall; 1 where both are empty.

    Source: C. J. van Rijsbergen, "Information Retrieval", 1979, chapter 7.
    """
    return 2 * matches / (reference + prediction) if reference + prediction else 1.0
