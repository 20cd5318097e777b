"""Trains image classifiers and exports them as SavedModels that describe themselves.

The functions here are the Python API (`imageclassifier_training.api`). Each does what the command of the same
name does:

    import imageclassifier_training as ict

    ict.explore("photographs", html="data.html")
    ict.train("photographs", "runs/first")
    ict.export("runs/first", ict.Version("pizza-model"))
"""

from .api import (
    Architecture,
    Data,
    DataError,
    FineTuning,
    Options,
    Plan,
    Space,
    ThresholdRule,
    TrainingError,
    Version,
    champion,
    evaluate,
    explore,
    export,
    leaderboard,
    score,
    search,
    train,
)

__all__ = [
    "Architecture", "Data", "DataError", "FineTuning", "Options", "Plan", "Space", "ThresholdRule",
    "TrainingError", "Version", "champion", "evaluate", "explore", "export", "leaderboard", "score",
    "search", "train",
]  # fmt: skip
