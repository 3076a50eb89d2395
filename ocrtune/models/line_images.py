"""Fit images of single lines to a model that reads lines: how low and how wide one may be."""


def scale_up(image, height: int):
    """Return an image of at least `height` px: some processors scale down alone, and no model was taught lines lower than it saw."""
    from PIL import Image

    if image.height >= height:
        return image
    return image.resize((max(1, round(image.width * height / image.height)), height), Image.Resampling.BICUBIC)


def widest(processor) -> float:
    """Return how many times its height a line may be wide before its letters are squeezed; infinite where no lines are meant.

    Meant are lines where the profile has `min_height` and the image processor a box that both sides must fit.
    """
    size = getattr(processor.image_processor, "size", None) or {}
    width = dict(size).get("width")
    return width / processor.min_height if width and getattr(processor, "min_height", 1) > 1 else float("inf")
