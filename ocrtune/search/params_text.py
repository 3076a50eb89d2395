"""Change values in the text of params.yaml and nothing else: comments, order and layout stay as a person wrote them."""

from collections.abc import Mapping

import yaml

Scalar = bool | int | float | str | None


def find_value(node: yaml.Node, path: str) -> yaml.Node | None:
    """Return the node at a dotted path below a mapping, or None where there is none."""
    for step in path.split("."):
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        found = [value for key, value in pairs if key.value == step]
        if not found:
            return None
        (node,) = found
    return node


def write_scalar(value: Scalar) -> str:
    """Return a value as YAML on one line."""
    return yaml.safe_dump(value, width=1 << 20).removesuffix("\n").removesuffix("\n...")


def change_values(text: str, changes: Mapping[str, Scalar]) -> str | None:
    """Return the text with single values changed, by dotted path; None where one of them has no place in it yet."""
    root = yaml.compose(text, yaml.SafeLoader)
    nodes = {path: find_value(root, path) for path in changes}
    if not all(isinstance(node, yaml.ScalarNode) and node.end_mark.index > node.start_mark.index for node in nodes.values()):
        return None
    for path, node in sorted(nodes.items(), key=lambda item: -item[1].start_mark.index):
        start, end, value = node.start_mark.index, node.end_mark.index, write_scalar(changes[path])
        text = text[:start] + value + keep_column(text[end:], end - start - len(value))
    return text


def keep_column(rest: str, shorter: int) -> str:
    """Return what follows a value, with a comment on its line where it stood before the value got so many characters shorter."""
    comment = rest.lstrip(" ")
    blanks = len(rest) - len(comment)
    return " " * max(2, blanks + shorter) + comment if blanks and comment.startswith("#") else rest


def changed_scalars(before: Mapping, after: Mapping, path: str = "") -> dict[str, Scalar] | None:
    """Return {dotted path: value} of what differs; None where that is more than single values: keys that came or went, lists."""
    if before.keys() != after.keys():
        return None
    found = {}
    for key, value in after.items():
        if isinstance(value, Mapping) and isinstance(before[key], Mapping):
            below = changed_scalars(before[key], value, f"{path}{key}.")
            if below is None:
                return None
            found |= below
        elif value != before[key] or type(value) is not type(before[key]):
            if not isinstance(value, Scalar):
                return None
            found[f"{path}{key}"] = value
    return found


def keep_layout(text: str, values: Mapping) -> str | None:
    """Return a text of params with other values, laid out as it was; None where they differ in more than single values."""
    changes = changed_scalars(yaml.safe_load(text), values)
    changed = None if changes is None else change_values(text, changes)
    return changed if changed and yaml.safe_load(changed) == values else None
