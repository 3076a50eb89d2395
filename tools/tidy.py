"""Lay params.yaml out again as the last commit has it, with the values that it has now.

    python -m tools.tidy

`dvc exp run -S` and `dvc exp apply` write the whole file anew: they drop its `null`s and break its longer lines, a hundred
lines of a diff for one value. No value and no stage changes by this.
"""

import typer


def tidy() -> str:
    """Write params.yaml and return what was done; a `ValueError` where it can't be."""
    import subprocess

    import yaml

    from ocrtune.params.load import PARAMS, read_params
    from ocrtune.rows import write_text
    from ocrtune.search.params_text import keep_layout

    done = subprocess.run(["git", "show", f"HEAD:./{PARAMS}"], capture_output=True)
    if done.returncode:
        raise ValueError(f"{PARAMS}: the last commit has none to take the layout from")
    before, values = done.stdout.decode("utf-8"), read_params()
    try:
        text = keep_layout(before, values)
    except yaml.YAMLError:
        text = None
    if text is None:
        raise ValueError(f"{PARAMS}: has other keys or lists than the last commit's; it is left as it is: mend it with git diff {PARAMS}")
    if text == PARAMS.read_text(encoding="utf-8"):
        return f"{PARAMS}: its layout is that of the last commit"
    write_text(PARAMS, text)
    count = sum(one != two for one, two in zip(before.splitlines(), text.splitlines(), strict=True))
    return f"{PARAMS}: laid out as in the last commit; {count} {'line differs' if count == 1 else 'lines differ'} from it"


def main() -> None:
    """Lay params.yaml out again as the last commit has it, with the values that it has now."""
    from ocrtune.params.load import report_errors

    with report_errors():
        print(tidy())


if __name__ == "__main__":
    typer.run(main)
