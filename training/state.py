"""A training in progress: everything that must survive for it to go on exactly.

There is no generator among it: every step seeds its own from the run's seed and the step's number.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from noisyweb.errors import CorruptFileError
from noisyweb.training.average import WeightAverage
from noisyweb.training.config import TrainConfig
from noisyweb.training.distributed import SOLO, Team
from noisyweb.training.method import Batch, Clock, Setting, StepResult, create_method, num_networks
from noisyweb.training.models import build_model, check_images
from noisyweb.training.sampling import seed_of
from noisyweb.training.schedule import factor
from noisyweb.training.student import Student, several
from noisyweb.training.team_norm import share_statistics
from noisyweb.training.weights import load_weights


class TrainingState:
    """Network, averaged network, optimizer, method, and what has been seen so far.

    Args:
        config: the run.
        num_classes: K.
        labels: [N] int64, as given.
        team: processes that train together.
        begins: start from ``config.weights``, if that names a file; False: a checkpoint will be restored.

    Raises:
        NoisywebError: the weights file cannot be used.

    Attributes:
        begun_from: what was taken from a weights file, in words; None without one.
        step: steps done.
        seconds: spent, with evaluations.
        history: a row of `noisyweb.training.metrics.METRICS` for each epoch done.
        losses: [num_steps], what each step minimised; NaN for those to come.
        row_loss, row_predicted, row_weight: [N], of this epoch; NaN and -1 where nothing is known.
        class_accuracy: [K] float64, of the last evaluation; NaN where nothing is known.
    """

    def __init__(
        self, config: TrainConfig, num_classes: int, labels: Tensor, team: Team = SOLO, *, begins: bool = True
    ) -> None:
        self.config, self.team, num_rows = config, team, len(labels)
        self.steps_per_epoch = num_rows // config.batch_size
        self.num_steps = self.steps_per_epoch * config.epochs
        device = torch.device(config.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(config.seed, "weights"))
            networks = [build_model(config.model, num_classes) for _ in range(num_networks(config.method))]
        if ":" in config.model:  # those of other packages may be made for one size
            check_images(networks[0], config.model, config.image_size, num_classes)
        network = several(networks)
        self.begun_from: str | None = None
        if begins and config.weights is not None:
            self.begun_from = load_weights(network, Path(config.weights), num_classes, config.new_head)
        self.network = share_statistics(network.to(device), team).train()
        self.student = Student(
            self.network, config.precision, config.channels_last, config.normalisation, config.compile, team
        )
        self.average = WeightAverage(self.network, config.average_decay)
        self.optimizer = _optimizer(self.network, config)
        self.method = create_method(config.method, config.options, Setting(num_classes, labels.to(device), device))
        self.step, self.seconds, self.epoch_seconds = 0, 0.0, 0.0
        self.history: list[dict[str, Any]] = []
        self.losses = torch.full((self.num_steps,), torch.nan, device=device)
        self.row_loss = torch.full((num_rows,), torch.nan, device=device)
        self.row_weight = torch.full((num_rows,), torch.nan, device=device)
        self.row_predicted = torch.full((num_rows,), -1, device=device)
        self.class_accuracy = torch.full((num_classes,), torch.nan, dtype=torch.float64)

    @property
    def clock(self) -> Clock:
        """The step that comes next."""
        return Clock(self.step, self.num_steps, self.steps_per_epoch)

    @property
    def lr(self) -> float:
        """Learning rate of the step that comes next."""
        return self.config.lr * factor(self.config.schedule, self.config.warmup, self.clock)

    def evaluable(self) -> Student:
        """The network with averaged weights, to be evaluated."""
        config = self.config
        network = self.average.evaluable()
        return Student(network, config.precision, config.channels_last, config.normalisation, team=self.team)

    def descend(self, loss: Tensor) -> None:
        """One step of the optimizer, taken in by the average."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.team.sum_gradients(self.network.parameters())
        if self.config.clip:
            for member in self.student.members:
                nn.utils.clip_grad_norm_(member.network.parameters(), self.config.clip)
        self.optimizer.step()
        self.average.update(self.step)

    def record(self, batch: Batch, result: StepResult) -> None:
        """Keep what the step saw; nothing here waits for the device."""
        self.losses[self.step] = result.loss.detach()
        if result.example_loss is not None:
            self.row_loss[batch.rows] = result.example_loss.float()
        if result.predicted is not None:
            self.row_predicted[batch.rows] = result.predicted
        if result.weight is not None:
            self.row_weight[batch.rows] = result.weight.float()

    def forget_epoch(self) -> None:
        """Clear what is kept of one epoch only."""
        self.row_loss.fill_(torch.nan)
        self.row_weight.fill_(torch.nan)
        self.row_predicted.fill_(-1)
        self.epoch_seconds = 0.0

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor of the state by name; the tensors themselves, not copies."""
        found = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        found |= {f"average.{name}": tensor for name, tensor in self.average.network.named_parameters()}
        found |= {f"method.{name}": tensor for name, tensor in self.method.state().items()}
        for name, parameter in self.network.named_parameters():
            for key, moment in self.optimizer.state[parameter].items():
                if moment is not None:
                    found[f"optimizer.{key}.{name}"] = moment
        kept = {"losses": self.losses, "row_loss": self.row_loss}
        kept |= {"row_weight": self.row_weight, "row_predicted": self.row_predicted}
        kept |= {"class_accuracy": self.class_accuracy}
        return found | kept

    def info(self) -> dict[str, Any]:
        """The rest of the state, as JSON can say it."""
        return {
            "step": self.step,
            "seconds": self.seconds,
            "epoch_seconds": self.epoch_seconds,
            "history": self.history,
            "method": self.config.method,
            "config_digest": self.config.digest,
        }

    @torch.no_grad()
    def restore(self, tensors: dict[str, Tensor], info: dict[str, Any], where: str) -> None:
        """Take over a checkpoint of the same configuration.

        Raises:
            CorruptFileError: it does not hold what this state needs.
        """
        for name, parameter in self.network.named_parameters():  # optimizers make theirs at the first step
            for key in _MOMENTS[self.config.optimizer]:
                if (moment := tensors.get(f"optimizer.{key}.{name}")) is not None:
                    like = torch.zeros_like(parameter) if moment.dim() else torch.zeros(())
                    self.optimizer.state[parameter][key] = like
        mine = self.tensors()
        unlike = [name for name in mine if name not in tensors or tensors[name].shape != mine[name].shape]
        unlike += [name for name in tensors if name not in mine]
        if unlike:
            raise CorruptFileError(f"{where}: {unlike[0]} is not what this run needs; train again with --overwrite")
        for name, tensor in mine.items():
            tensor.copy_(tensors[name])
        self.step, self.history = int(info["step"]), list(info["history"])
        self.seconds, self.epoch_seconds = float(info["seconds"]), float(info["epoch_seconds"])


_MOMENTS = {"sgd": ("momentum_buffer",), "adamw": ("exp_avg", "exp_avg_sq", "step")}


def _optimizer(network: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """SGD or AdamW; weight decay on kernels only, not on biases and norms."""
    kernels = [weight for weight in network.parameters() if weight.dim() > 1]
    others = [weight for weight in network.parameters() if weight.dim() <= 1]
    groups = [{"params": kernels, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=config.lr)
    return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum)
