"""`pause` and `resume`: set spec.rollout.paused."""

from __future__ import annotations

import argparse
from typing import Any

from . import _arguments as arguments
from . import _change
from .status import observe


def add_parser(subparsers: Any) -> None:
    """Declare the commands and their arguments."""
    _change.declare(subparsers, "pause", pause, "pause the rollout before the next share of the traffic")
    _change.declare(subparsers, "resume", resume, "continue a paused rollout")


def pause(options: argparse.Namespace) -> None:
    """Pause rollouts, the present one and later ones."""
    _set(options, paused=True)


def resume(options: argparse.Namespace) -> None:
    """Let rollouts continue by themselves."""
    _set(options, paused=False)


def _set(options: argparse.Namespace, *, paused: bool) -> None:
    with arguments.classifiers(options) as found:
        seen = observe(found, options.name)
        if seen.is_paused == paused:
            raise _change.refused(options, f"spec.rollout.paused is {str(paused).lower()} already.")
        found.change(options.name, {"spec": {"rollout": {"paused": paused}}})
    if not paused:
        _change.done(options, "Rollouts continue by themselves.")
    elif seen.candidate is None:
        _change.done(options, "The next rollout waits for `promote` before its first share of the traffic.")
    else:
        _change.done(
            options,
            f"Version {seen.candidate} gets no larger share of the traffic until `promote` or `resume`.",
        )
