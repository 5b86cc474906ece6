"""`radplug train …`: the product's own training, as commands. Only a command that runs loads torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

train = typer.Typer(no_args_is_help=True)


@train.callback()
def training() -> None:
    """Train a model."""


@train.command("demo", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def train_demo(
    context: typer.Context, out_folder: Annotated[Path, typer.Option("--out", help="A new folder.")]
) -> None:
    """Train the demo model anew from synthetic phantoms; further options are those of model_runtime.training.demo."""
    from model_runtime.training.demo import main as train_from_phantoms

    train_from_phantoms(["--out", str(out_folder), *context.args])


@train.command("sibling", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def train_sibling(
    context: typer.Context, out_folder: Annotated[Path, typer.Option("--out", help="A new folder.")]
) -> None:
    """Train the demo model's left-to-right sibling, to compare the two; further options are those of `train demo`."""
    from model_runtime.training.sibling import main as train_from_phantoms

    train_from_phantoms(["--out", str(out_folder), *context.args])
