"""What may stand under `train`."""

from typing import Literal

from pydantic import Field, model_validator

from ocrtune.params.load import Section


class LoraParams(Section):
    """Low-rank adapters."""

    r: int = Field(ge=1)
    alpha: int = Field(ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    experts: bool = Field(default=False, description="adapt the routed experts of the llm, too, where the student has them")


class EarlyStopping(Section):
    """Greedy readings of validation pages decide which step's weights are kept, and when to stop."""

    eval_steps: int = Field(default=50, ge=1, description="steps between readings")
    num_pages: int = Field(default=24, ge=1, description="pages of val that are read each time")
    patience: int = Field(default=3, ge=1, description="readings without a lower CER before training stops")


class LaunchParams(Section):
    """Processes that train together, one a GPU, started by `accelerate launch`."""

    processes: int = Field(default=1, ge=1, description="on all machines together")
    machines: int = Field(default=1, ge=1)
    mixed_precision: Literal["bf16", "fp16"] | None = None  # accelerate's "no" is false to YAML once dvc has rewritten params.yaml
    config_file: str | None = Field(default=None, description="of accelerate: FSDP, DeepSpeed")

    @model_validator(mode="after")
    def share_out(self):
        if self.processes % self.machines:
            raise ValueError(f"{self.processes} processes can't be shared out among {self.machines} machines; give a multiple")
        return self


class TrainParams(Section):
    """How the student is fine-tuned."""

    backend: Literal["peft", "unsloth"] = "peft"
    method: Literal["lora", "full"] = "lora"
    mode: Literal["vision", "llm", "both"]
    rehearsal: float = Field(default=0.0, ge=0, le=10, description="lines of data/rehearsal mixed in, as a share of the examples")
    projector: bool = Field(default=True, description="adapt what joins vision and language, too, in vision and both")
    lora: LoraParams
    load_in_4bit: bool = Field(default=False, description="the base's frozen weights in 4 bits (NF4): QLoRA, Dettmers et al. 2023")
    learning_rate: float = Field(gt=0)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_steps: int = Field(default=10, ge=0)
    weight_decay: float = Field(default=0.0, ge=0)
    epochs: float | None = Field(default=None, gt=0)
    max_steps: int | None = Field(default=None, ge=1)
    per_device_batch_size: int = Field(ge=1)
    gradient_accumulation_steps: int = Field(default=1, ge=1)
    gradient_checkpointing: bool = False
    max_grad_norm: float = Field(default=1.0, gt=0)
    max_length: int | None = Field(default=None, ge=1, description="tokens of image, prompt and text; null: what the model holds")
    too_long: Literal["fail", "refuse", "shorten"] = Field(default="refuse", description="what becomes of a longer one")
    early_stopping: EarlyStopping | None = None
    launch: LaunchParams = LaunchParams()
    wandb: bool = Field(default=False, description="log to Weights & Biases, too")
    seed: int = 0
    logging_steps: int = Field(default=1, ge=1)
    save_steps: int = Field(ge=1)
    eval_steps: int | None = Field(default=None, ge=1, description="steps between validation losses; null: never")

    @model_validator(mode="after")
    def end_somewhere(self):
        if self.load_in_4bit and self.method == "full":
            raise ValueError("load_in_4bit wants method lora: weights in 4 bits can't be trained")
        if (self.epochs is None) == (self.max_steps is None):
            raise ValueError("set one of epochs and max_steps, and the other to null")
        return self


SCHEMAS = {"train": TrainParams}
