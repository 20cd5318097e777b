"""Says in words what an exported model is: its contract, its signatures, its size."""

from __future__ import annotations

from typing import Any

from .saved_model import ServedModel


def describe(model: ServedModel) -> list[str]:
    """Describe a model in lines of text."""
    contract = model.contract
    wanted = contract.input
    files = [each for each in model.folder.rglob("*") if each.is_file()]
    lines = [
        f"{contract.name}, in {model.folder}",
        f"  size        {sum(each.stat().st_size for each in files) / 1e6:.1f} MB in {len(files)} files",
        f"  made        {contract.created or 'at an unknown time'}, from {contract.backbone or 'unknown'}",
        f"  data        {contract.data_digest or 'unknown'}",
        f"  pixels      RGB, {wanted.width} x {wanted.height}, resized {wanted.resize}, fit by {wanted.fit}",
        f"  answers     {_rule(model)}",
    ]
    lines += [f"    {each.name}: {each.message}" for each in contract.classes]
    for name, figures in contract.metrics.items():
        if isinstance(figures, dict) and "accuracy" in figures:
            lines.append(
                f"  {name.replace('_', '-')}: accuracy {figures['accuracy']:.2%}, "
                f"log loss {figures['log_loss']:.4f}"
            )
    lines.append(f"  golden      {len(model.golden.cases)} pictures, tolerance {model.golden.tolerance:g}")
    lines.append("  signatures")
    for name in model.signatures:
        signature = model.signatures[name]
        inputs = signature.structured_input_signature[1]
        lines.append(f"    {name}: {_tensors(inputs)} -> {_tensors(signature.structured_outputs)}")
    return lines


def _rule(model: ServedModel) -> str:
    contract = model.contract
    if len(contract.classes) == 2:
        return f"'{contract.class_names[1]}' from a probability of {contract.threshold:g} on, else the other"
    return "the most probable class"


def _tensors(specs: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {spec.dtype.name} ({', '.join(str(size or 'batch') for size in spec.shape)})"
        for name, spec in sorted(specs.items())
    )
