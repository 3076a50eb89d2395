"""Say what is missing on this machine or wrong in this project, and what to do about it.

    python -m tools.doctor              # everything; exit code 1 where something will fail
    python -m tools.doctor --quick      # without hashing the cache, asking what is not pushed, and laying out the examples
"""

from pathlib import Path
from typing import Annotated

import typer


def examine(quick: bool) -> list:
    """Return all findings, in the order in which to mend them."""
    from ocrtune.checks.clone import check_cache, check_documents, check_git, check_keys, check_pushed, check_remote
    from ocrtune.checks.findings import Finding
    from ocrtune.checks.machine import check_cluster, check_packages, check_readers
    from ocrtune.params.load import problems, read_params

    found = [check_git(Path())]
    values = read_params()
    wrong = problems(values)
    found += [Finding("wrong", "params", problem, "edit params.yaml") for problem in wrong]
    if not wrong:
        found.append(Finding("fine", "params", "every value is possible"))
        found += [*check_keys(values), *check_packages(values), *check_cluster(values), *check_readers(values)]
    if found[0].level == "fine":
        remote = check_remote(Path())
        found += [remote, *([] if wrong else [check_documents(Path(values["crawl"]["folder"]))])]
        if not quick:
            found += check_pushed(Path()) if remote.level == "fine" else []
            found += check_cache(Path("dvc.lock"), cache_folder(), uncached_outs(Path("dvc.yaml")), remote.level == "fine")
    if not wrong:
        found += examine_student(values, quick)
    return found


def cache_folder() -> Path:
    """Return where DVC keeps its cache: .dvc/cache, or what its configuration says."""
    import subprocess
    import sys

    said = subprocess.run([sys.executable, "-m", "dvc", "cache", "dir"], capture_output=True, text=True).stdout.strip()
    return Path(said or ".dvc/cache")


def uncached_outs(pipeline: Path) -> frozenset[str]:
    """Return the outs that git keeps instead of DVC's cache."""
    import yaml

    stages = yaml.safe_load(pipeline.read_text(encoding="utf-8"))["stages"].values()
    entries = [entry for stage in stages for name in ("outs", "metrics", "plots") for entry in stage.get(name, [])]
    return frozenset(path for entry in entries if isinstance(entry, dict) for path, how in entry.items() if how.get("cache") is False)


def examine_student(values: dict, quick: bool) -> list:
    """Return the findings about the chosen student."""
    from ocrtune.checks.machine import check_disk
    from ocrtune.checks.model import check_files, check_lengths, check_memory, check_prompt, check_targets, count_parameters, gpu_bytes
    from ocrtune.models.checkpoints import weight_files
    from ocrtune.models.vlm import quiet_libraries
    from ocrtune.params.students import StudentProfile
    from ocrtune.params.train import TrainParams
    from ocrtune.rows import read_rows

    student = values["student"]
    base, splits = Path("models/base") / student, Path("data/splits")
    profile = StudentProfile.model_validate(values["students"][student])
    params = TrainParams.model_validate(values["train"])
    found = [check_files(base, student, profile)]
    is_here = (base / "config.json").is_file()
    if found[0].level == "wrong" or not is_here:
        return [*found, check_disk(Path(), 0)]
    found.append(check_disk(Path(), sum(path.stat().st_size for path in weight_files(base))))
    quiet_libraries()
    found += [check_memory(count_parameters(base), profile, params, gpu_bytes()), check_prompt(base, profile),
              check_targets(base, profile, params)]
    if found[3].level == "fine" and not quick and (splits / "train.jsonl").is_file():
        rows = read_rows(splits / "train.jsonl", ("page_id", "image", "text"))
        found.append(check_lengths(base, profile, rows, splits, params.max_length))
    return found


def main(
    quick: Annotated[bool, typer.Option("--quick", help="leave out what takes long: the cache's hashes, what is not pushed, "
                                        "the examples' lengths")] = False,
) -> None:
    """Say what is missing on this machine or wrong in this project, and what to do about it."""
    from ocrtune.params.load import report_errors

    with report_errors():
        found = examine(quick)
        for finding in found:
            print(finding)
        wrong = sum(finding.level == "wrong" for finding in found)
        print(f"{wrong} wrong, {sum(finding.level == 'note' for finding in found)} to mind, {len(found)} looked at")
        raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    typer.run(main)
