"""Start a stage in several processes, one a GPU, on one machine or several, as `accelerate launch` does it.

What belongs to one machine stands in its environment: OCRTUNE_MACHINE_RANK (0 is the first), OCRTUNE_MAIN_HOST and
OCRTUNE_MAIN_PORT. What belongs to the training stands in params.yaml.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from ocrtune.models.gpu_locks import claim_gpu
from ocrtune.params.train import LaunchParams

PORT = "29500"  # of the first machine, where several meet; one machine alone takes any that is free

SYSTEM = ctypes.CDLL(None)  # loaded here: between fork and exec nothing may be
PR_SET_PDEATHSIG = 1


def is_launched() -> bool:
    """Return whether a launcher has started this process."""
    return "LOCAL_RANK" in os.environ


def is_first() -> bool:
    """Return whether this process is the one that writes: the only one, or the first of those launched."""
    return os.environ.get("RANK", "0") == "0"


def is_sharded() -> bool:
    """Return whether the launched processes hold a part of the weights each (FSDP, DeepSpeed), and none of them all."""
    return "true" in (os.environ.get("ACCELERATE_USE_FSDP", "").lower(), os.environ.get("ACCELERATE_USE_DEEPSPEED", "").lower())


def die_with_parent(parent: int | None = None) -> None:
    """Have the system kill this process when the one that started it ends, were it killed itself (Linux; elsewhere nothing is done)."""
    if sys.platform == "linux":
        SYSTEM.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if parent and os.getppid() != parent:  # it has ended already
            os._exit(1)


def wants_launch(launch: LaunchParams) -> bool:
    """Return whether a training with these params has more processes than this one."""
    return not is_launched() and (launch.processes > 1 or launch.config_file is not None or launch.mixed_precision is not None)


def leads_launch(launch: LaunchParams) -> bool:
    """Return whether this machine is the first of a training's, or the only one."""
    return launch.machines == 1 or os.environ.get("OCRTUNE_MACHINE_RANK", "0") == "0"


def launch_command(launch: LaunchParams, module: str, words: Sequence[str]) -> list[str]:
    """Return the command that starts `module` in this machine's share of the processes; a missing address is a `ValueError`."""
    command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", str(launch.processes),
               "--num_machines", str(launch.machines), "--mixed_precision", launch.mixed_precision or "no", "--dynamo_backend", "no"]
    if launch.config_file:
        command += ["--config_file", launch.config_file]
    else:
        command.append("--multi_gpu")
    if launch.machines == 1:
        return [*command, "--main_process_port", "0", "-m", module, *words]
    missing = [name for name in ("OCRTUNE_MACHINE_RANK", "OCRTUNE_MAIN_HOST") if not os.environ.get(name)]
    if missing:
        raise ValueError(f"train.launch.machines {launch.machines}: set {' and '.join(missing)} on each machine "
                         "(0 on the first, 1 on the next; the first one's address)")
    return [*command, "--machine_rank", os.environ["OCRTUNE_MACHINE_RANK"], "--main_process_ip", os.environ["OCRTUNE_MAIN_HOST"],
            "--main_process_port", os.environ.get("OCRTUNE_MAIN_PORT", PORT), "-m", module, *words]


def launch_processes(launch: LaunchParams, module: str, words: Sequence[str]) -> None:
    """Run `module` in all processes and wait for them; where one fails, exit with a message, the others being ended.

    Each has a GPU of its own, where the machine has enough; all end with this process, however it ends.
    """
    claim_gpu(launch.processes // launch.machines)
    parent = os.getpid()
    process = subprocess.Popen(launch_command(launch, module, words), preexec_fn=lambda: die_with_parent(parent))
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())  # the launcher passes it on
    try:
        returncode = process.wait()
    except KeyboardInterrupt:
        process.wait()
        raise
    if returncode:
        raise ValueError(f"{module}: one of {launch.processes} processes failed, and the others were ended; its words stand above")
