"""Describes an exported model in text: its contract, its metrics, its signatures and its size."""

from __future__ import annotations

from typing import Any

from ..words import counted
from .saved_model import ServedModel


def describe(model: ServedModel) -> list[str]:
    """Describe a model, one line of text per fact."""
    contract = model.contract
    wanted = contract.input
    files = [each for each in model.folder.rglob("*") if each.is_file()]
    lines = [
        f"{contract.name}, in {model.folder}",
        f"  size        {sum(each.stat().st_size for each in files) / 1e6:.1f} MB in "
        f"{counted(len(files), 'file')}",
        f"  trained     {contract.created or 'at an unknown time'}",
        f"  network     {contract.backbone or 'unknown'}",
        f"  data        {contract.data_digest or 'unknown'}",
        f"  input       RGB, {wanted.width} x {wanted.height} px, resize {wanted.resize}, fit {wanted.fit}",
        f"  predicts    {_rule(model)}",
    ]
    lines += [f"    {each.name}: {each.message}" for each in contract.classes]
    for name, figures in contract.metrics.items():
        if isinstance(figures, dict) and "accuracy" in figures:
            lines.append(
                f"  {name.replace('_', '-')}: accuracy {100 * figures['accuracy']:.2f} %, "
                f"log loss {figures['log_loss']:.4f}"
            )
    lines.append(
        f"  golden      {counted(len(model.golden.cases), 'image')}, tolerance {model.golden.tolerance:g}"
    )
    if (familiarity := contract.familiarity) is not None:
        lines.append(
            f"  unfamiliar  beyond a distance of {familiarity.limit:.3f}, as "
            f"{100 * (1 - familiarity.unfamiliar.beyond):g} % of the training images are"
        )
    lines.append("  signatures")
    for name in model.signatures:
        signature = model.signatures[name]
        inputs = signature.structured_input_signature[1]
        lines.append(f"    {name}: {_tensors(inputs)} -> {_tensors(signature.structured_outputs)}")
    return lines


def _rule(model: ServedModel) -> str:
    contract = model.contract
    if len(contract.classes) == 2:
        first, second = contract.class_names
        return f"'{second}' if its probability is at least {contract.threshold:g}, else '{first}'"
    return "the most probable class"


def _tensors(specs: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {spec.dtype.name} ({', '.join(str(size or 'batch') for size in spec.shape)})"
        for name, spec in sorted(specs.items())
    )
