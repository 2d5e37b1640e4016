"""The crash-safe store of a run's checkpoints: safetensors and a JSON manifest a step, best and last."""

from tui_trainer.checkpoints.disk import Disk
from tui_trainer.checkpoints.store import Checkpoint, CheckpointStore, NoSpaceError

__all__ = ["Checkpoint", "CheckpointStore", "Disk", "NoSpaceError"]
