"""What may be faster than the plain way in one process, decided once for all cells that it concerns."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from heatdrift.model.adapt import AdaptedModel
from heatdrift.records import Cell, Recipe
from heatdrift.train.frozen import FrozenData, frozen_data, tokens_fit
from heatdrift.train.loop import steps_per_epoch
from heatdrift.train.penalty import penalised, with_others
from heatdrift.train.precision import Precision, chosen_precision
from heatdrift.train.prefix import frozen_blocks
from heatdrift.train.step import StepKind
from heatdrift.train.step_choice import chosen_step

if TYPE_CHECKING:
    from heatdrift.train.resources import Resources


@dataclass(slots=True)
class FastPaths:
    """Arithmetic, kind of step and kept outputs of frozen parts for the cells of one process."""

    resources: "Resources"
    _precisions: dict[tuple[str, int], Precision] = field(default_factory=dict)
    _steps: dict[tuple[str, str, int, Precision], StepKind] = field(default_factory=dict)
    _frozen: dict[tuple[str, Precision, int | None], FrozenData] = field(default_factory=dict)

    def precision(self, recipe: Recipe) -> Precision:
        """Arithmetic that trains a cell of `recipe` here; what `auto` means is measured."""
        key = (recipe.precision, recipe.batch_size)
        if key not in self._precisions:
            backbone = self.resources.backbone
            self._precisions[key] = chosen_precision(
                recipe.precision,
                backbone.visual,
                self.resources.device,
                batch_size=recipe.batch_size,
                image_size=backbone.preprocess.size,
            )
        return self._precisions[key]

    def step(self, cell: Cell, recipe: Recipe, model: AdaptedModel, precision: Precision) -> StepKind:
        """Kind of step that trains cells of this data set, method and batch size; measured where that is asked."""
        resources = self.resources
        train = resources.target(cell.dataset).train
        if resources.compile == "off" or len(train) < recipe.batch_size:
            return "plain"
        key = (cell.dataset, cell.method, recipe.batch_size, precision)
        if key not in self._steps:
            batch, others, base = slice(0, recipe.batch_size), resources.unlabelled(cell), resources.backbone.visual
            seen = None if others is None else torch.arange(recipe.batch_size) % len(others)
            self._steps[key] = chosen_step(
                resources.compile,
                model,
                with_others(
                    resources.normalise(train.crops[batch]),
                    None if others is None else resources.normalise(others.crops[seen]),
                ),
                train.labels[batch].to(resources.device),
                lr=cell.lr,
                clip_norm=recipe.clip_norm,
                precision=precision,
                steps=recipe.epochs * steps_per_epoch(len(train), recipe.batch_size),
                on_problem=resources.on_problem,
                penalised=lambda trial: penalised(trial, base),
            )
        return self._steps[key]

    def frozen(self, cell: Cell, model: AdaptedModel, precision: Precision) -> FrozenData | None:
        """What the part of the tower that the cell's method leaves as it is gives for its data set.

        None where it leaves nothing, where the tokens of a block would take too much memory, and in float16.
        """
        if precision == "float16":
            return None
        data = self.resources.target(cell.dataset)
        blocks = frozen_blocks(model.visual) if model.family.changes_encoder else None
        held_out = [data.val, *([data.test] if data.test else [])]
        if blocks == 0 or (blocks and not tokens_fit(model.visual, [data.train, *held_out])):
            return None
        key = (cell.dataset, precision, blocks)
        if key not in self._frozen:
            self._frozen[key] = frozen_data(
                self.resources.backbone.visual,
                data.train,
                data.val,
                data.test,
                self.resources.evaluation,
                bfloat16=precision == "bfloat16",
                blocks=blocks,
            )
        return self._frozen[key]
