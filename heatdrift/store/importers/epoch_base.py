"""Whether epoch 0 of a source is the pretrained model, as here, or the first epoch that was trained."""

from collections.abc import Mapping

import msgspec

from heatdrift.errors import DataError

_TRAINING = ("train_loss", "train_acc_pct")


class EpochsSeen(msgspec.Struct, kw_only=True):
    """What the rows of a source say about where its epochs start; a label each of the first row that says it.

    Attributes
    ----------
    trained : an epoch 0 with a training loss or accuracy, which the pretrained model does not have.
    base : an epoch 0 without one.
    later : a later epoch with one.
    judged : an epoch 0 without one, but with a validation accuracy.
    chosen : a selected epoch 0.
    """

    trained: str = ""
    base: str = ""
    later: str = ""
    judged: str = ""
    chosen: str = ""

    def see(self, label: str, row: Mapping[str, object], epoch: int | None, selected: int | None) -> None:
        """Take in one row in our columns."""
        training = any(name in row for name in _TRAINING)
        if epoch == 0:
            if training:
                self.trained = self.trained or label
            else:
                self.base = self.base or label
                self.judged = self.judged or (label if "val_acc_pct" in row else "")
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
        if epochs_from == 0:
            return 1, "epochs are counted from 0, as --epochs-from 0 says: each is stored as the next number"
        if epochs_from == 1:
            return 0, "epoch 0 is the pretrained model, as --epochs-from 1 says" if self.trained or self.base else ""
        hint = "--epochs-from 0 if it is the first epoch of training, --epochs-from 1 if it is the pretrained model"
        if self.trained and self.base and self.later:
            raise DataError(
                f"{source}: epoch 0 has a training loss in one place ({self.trained}) and none in another "
                f"({self.base}); it cannot be both trained and the pretrained model; nothing was imported",
                hint=hint,
            )
        if self.trained:
            return 1, (
                f"epochs are counted from 0: epoch 0 has a training loss ({self.trained}), so it is no pretrained "
                "model; each is stored as the next number (--epochs-from 1 keeps epoch 0 as the pretrained model)"
            )
        if (self.judged and not self.later) or (self.chosen and not self.base):
            what = "an epoch 0 with a validation accuracy" if self.judged else "a selected epoch 0"
            raise DataError(
                f"{source} has {what} ({self.judged or self.chosen}), and no training loss says whether epoch 0 is "
                "trained; nothing was imported",
                hint=hint,
            )
        return 0, f"epoch 0 ({self.base}) is the pretrained model: it has no training loss" if self.base else ""
