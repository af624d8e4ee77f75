"""Trains members as the pipeline does, and is killed by the system in the middle of the second one's third epoch.

``python killed_training.py SPLITS FOLDER``: where the packed splits lie, and where the catalog keeps what it makes.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from kedro.runner import SequentialRunner
from test_training import make_catalog

from mgn_ma.pipelines.training import create_pipeline
from mgn_ma.training import loop
from mgn_ma.training.packed import PackedSplit


def kill_in_epoch_3_of_member_2() -> None:
    """From within the second batch: weights and moments have moved, and nothing of the epoch is written."""
    train_epoch, step = loop._train_epoch, loop._Learner.step
    at: list[Any] = []

    def in_epoch(task: Any, learner: Any, epoch: int, meter: Any) -> float:
        at[:] = [task.name, epoch, 0]
        return train_epoch(task, learner, epoch, meter)

    def stepping(learner: Any, loss: Any, epoch: int) -> None:
        at[2] += 1
        step(learner, loss, epoch)
        if at == ["member_2", 3, 2]:
            os.kill(os.getpid(), signal.SIGKILL)

    loop._train_epoch, loop._Learner.step = in_epoch, stepping


if __name__ == "__main__":
    splits = {name: PackedSplit(Path(sys.argv[1]) / name) for name in ("train", "validation", "test")}
    kill_in_epoch_3_of_member_2()
    SequentialRunner().run(
        create_pipeline().only_nodes("training.train_members"), make_catalog(splits, Path(sys.argv[2]))
    )
