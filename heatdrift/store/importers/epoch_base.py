"""Whether epoch 0 of a source is the pretrained model, as here, or the first epoch that was trained."""

from collections.abc import Mapping
from typing import Final

import msgspec

from heatdrift.errors import DataError
from heatdrift.store.importers.columns import IDENTITY

_TRAINING: Final = ("train_loss", "train_acc_pct")
_RUN: Final = (*IDENTITY, "protocol")


class _Zero(msgspec.Struct, kw_only=True):
    """Epoch 0 of one run, all its rows together: a label of the first, and of the one with training."""

    label: str
    trained: str = ""
    judged: str = ""


class EpochsSeen(msgspec.Struct, kw_only=True):
    """What the rows of a source say about where its epochs start, for each run and for the source as a whole.

    A run may have several rows of one epoch, such as one of training and one of validation: together they say it.

    Attributes
    ----------
    zero : run -> its epoch 0.
    accuracy : whether an epoch 0 has a validation accuracy.
    later : label of a later epoch with a training loss or accuracy.
    chosen : label of a selected epoch 0.
    """

    zero: dict[tuple[str, ...], _Zero] = {}
    accuracy: bool = False
    later: str = ""
    chosen: str = ""

    def see(
        self, label: str, row: Mapping[str, object], epoch: int | None, selected: int | None, *, measured: bool
    ) -> None:
        """Take in one row in our columns; `measured`: it has results in further columns, such as a validation loss."""
        training = any(name in row for name in _TRAINING)
        if epoch == 0:
            zero = self.zero.setdefault(tuple(str(row.get(name)) for name in _RUN), _Zero(label=label))
            self.accuracy = self.accuracy or "val_acc_pct" in row
            zero.trained = zero.trained or (label if training else "")
            zero.judged = zero.judged or (label if "val_acc_pct" in row or measured else "")
        elif epoch is not None and training:
            self.later = self.later or label
        if selected == 0:
            self.chosen = self.chosen or label

    def shift(self, epochs_from: int | None, source: str) -> tuple[int, str]:
        """Return what to add to every epoch, and what is said about it.

        Parameters
        ----------
        epochs_from : what the user says: 0 = the first trained epoch is called 0, 1 = epoch 0 is the pretrained model.

        Raises
        ------
        DataError
            Nobody said it, and the rows leave it open or contradict each other.
        """
        zeros = list(self.zero.values())
        trained = next((zero.trained for zero in zeros if zero.trained), "")
        base = next((zero.label for zero in zeros if not zero.trained), "")
        judged = next((zero.judged for zero in zeros if zero.judged and not zero.trained), "")
        if epochs_from == 0:
            return 1, "epochs are counted from 0, as --epochs-from 0 says: each is stored as the next number"
        if epochs_from == 1:
            return 0, "epoch 0 is the pretrained model, as --epochs-from 1 says" if trained or base else ""
        hint = "--epochs-from 0 if it is the first epoch of training, --epochs-from 1 if it is the pretrained model"
        if trained and base and self.later:
            raise DataError(
                f"{source}: epoch 0 has a training loss in one place ({trained}) and none in another "
                f"({base}); it cannot be both trained and the pretrained model; nothing was imported",
                hint=hint,
            )
        if trained:
            return 1, (
                f"epochs are counted from 0: epoch 0 has a training loss ({trained}), so it is no pretrained "
                "model; each is stored as the next number (--epochs-from 1 keeps epoch 0 as the pretrained model)"
            )
        if (judged and not self.later) or (self.chosen and not base):
            what = (
                ("an epoch 0 with a validation accuracy" if self.accuracy else "an epoch 0 with results")
                if judged
                else "a selected epoch 0"
            )
            raise DataError(
                f"{source} has {what} ({judged or self.chosen}), and no training loss says whether epoch 0 is "
                "trained; nothing was imported",
                hint=hint,
            )
        return 0, f"epoch 0 ({base}) is the pretrained model: it has no training loss" if base else ""
