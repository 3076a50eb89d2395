"""Let processes without a GPU share a model out by FSDP: `python -m fsdp_on_cpu ...` is `python -m stages.train ...` so.

accelerate reads FSDP's settings everywhere and obeys them on GPUs alone; PyTorch shards on CPUs as well (gloo). Each process
writes what share of the weights it holds to held-<rank>.json.
"""

import json
import os
import runpy
from pathlib import Path

import accelerate
from accelerate import state
from accelerate.utils import DistributedType

begin, gather = state.AcceleratorState.__init__, accelerate.Accelerator.get_state_dict


def begin_sharded(self, *args, fsdp_plugin=None, **settings) -> None:
    begin(self, *args, fsdp_plugin=fsdp_plugin, **settings)
    if fsdp_plugin is not None:
        self.fsdp_plugin = fsdp_plugin
        self.distributed_type = state.PartialState._shared_state["distributed_type"] = DistributedType.FSDP


def gather_and_tell(self, model, *args, **settings) -> dict:
    weights = list(model.parameters())
    held = sum(weight.to_local().numel() for weight in weights) / sum(weight.numel() for weight in weights)
    Path(f"held-{os.environ['RANK']}.json").write_text(json.dumps(held))
    return gather(self, model, *args, **settings)


state.AcceleratorState.__init__ = begin_sharded
accelerate.Accelerator.get_state_dict = gather_and_tell

if __name__ == "__main__":
    runpy.run_module("stages.train", run_name="__main__", alter_sys=True)
