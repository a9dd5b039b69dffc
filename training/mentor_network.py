"""The learned MentorNet: a small network from losses to weights. Shapes: B examples.

Jiang et al., "MentorNet", ICML 2018, section 3: embeddings of the label (0 where unknown) and of the percent of the
training that is done, and what an LSTM makes of loss and diff. A sequence here is one step long, as in the release
that MentorMix uses.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from noisyweb.errors import CorruptFileError
from noisyweb.training import checkpoint

KIND = "mentornet"
NUM_PERCENTS = 100
NUM_LABELS = 2


class MentorNetwork(nn.Module):
    """See the module's docstring.

    Args:
        width: of the hidden layer.
    """

    def __init__(self, width: int = 20) -> None:
        super().__init__()
        self.width = width
        self.label_embedding = nn.Embedding(NUM_LABELS, 2)
        self.percent_embedding = nn.Embedding(NUM_PERCENTS, 5)
        self.lstm = nn.LSTM(2, 10, bidirectional=True, batch_first=True)
        self.hidden = nn.Linear(20 + 2 + 5, width)
        self.out = nn.Linear(width, 1)

    def forward(self, loss: Tensor, diff: Tensor, label: Tensor, percent: Tensor) -> Tensor:
        """Logits of the weights, [B].

        Args:
            loss, diff: [B].
            label: [B] int64, 0 or 1: whether the label is believed to be right; 0 if nobody knows.
            percent: [B] int64, 0..99.
        """
        seen = self.lstm(torch.stack([loss, diff], 1).unsqueeze(1))[0].squeeze(1)
        known = torch.cat([seen, self.label_embedding(label), self.percent_embedding(percent)], 1)
        logits: Tensor = self.out(torch.tanh(self.hidden(known)))
        return logits.squeeze(1)

    @torch.no_grad()
    def weigh(self, loss: Tensor, diff: Tensor, percent: int) -> Tensor:
        """Weights [B] in [0, 1], as `noisyweb.training.mentornet.Curriculum`."""
        label = torch.zeros(len(loss), dtype=torch.int64, device=loss.device)
        return torch.sigmoid(self(loss.float(), diff.float(), label, label + min(percent, NUM_PERCENTS - 1)))


def save_network(network: MentorNetwork, path: Path, about: dict[str, object]) -> None:
    """Write a trained MentorNet as safetensors; ``about`` says how it was trained."""
    checkpoint.save(path, network.state_dict(), {"kind": KIND, "width": network.width, "about": about})


def load_network(path: Path, device: torch.device) -> MentorNetwork:
    """A trained MentorNet.

    Raises:
        CorruptFileError: the file is damaged or holds something else.
    """
    tensors, info = checkpoint.load(path)
    if info.get("kind") != KIND:
        raise CorruptFileError(f"{path}: no MentorNet; name a file that `noisyweb train-mentornet` wrote")
    width = info.get("width")
    if not isinstance(width, int) or not 1 <= width <= 4096:
        raise CorruptFileError(f"{path}: a MentorNet of width {width!r}; train it again")
    network = MentorNetwork(width)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise CorruptFileError(f"{path}: its tensors are not those of a MentorNet; train it again") from error
    return network.to(device).eval().requires_grad_(False)
