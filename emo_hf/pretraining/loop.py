"""The loop: schedule, optimizers, held-out losses, and a state that a stopped run goes on from."""

from __future__ import annotations

import copy
import io
import json
import logging
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from emo_hf.distributed import average_gradients
from emo_hf.pretraining.corpus import Batches
from emo_hf.pretraining.objectives import WEIGHTS, Pretrainer
from emo_hf.storage.files import move_whole, write_whole

logger = logging.getLogger(__name__)

LOG_EVERY, SAVE_EVERY = 60, 300  # seconds


class PretrainingRun:
    """A model in training, with everything that its state file `state.pt` brings back.

    Args:
        model: the encoder with its heads.
        folder: holds `state.pt`, `state-steady.pt` (before the decay), `held_out.jsonl` and `encoder/`.
        layout: bert or roberta.
        optimizer: adamw or muon.
        learning_rate: peak of the schedule.
        dropout: of the finished encoder's configuration; pre-training itself runs without.
    """

    def __init__(
        self,
        model: Pretrainer,
        folder: Path,
        *,
        layout: str,
        optimizer: str,
        learning_rate: float,
        dropout: tuple[float, float],
    ):
        self.model, self.folder, self.layout, self.dropout = model, folder, layout, dropout
        self.peak = learning_rate
        self.optimizers = build_optimizers(model, learning_rate, optimizer)
        self.step, self.tokens, self.epoch, self.at = 0, 0, 1, 0
        self._averages: dict[str, float] = {}

    def resume(self) -> bool:
        """Go on from the state in the folder; False if there is none."""
        if not (self.folder / "state.pt").exists():
            return False
        stored = torch.load(self.folder / "state.pt", weights_only=True)
        self.model.load_state_dict(stored["model"])
        for optimizer, state in zip(self.optimizers, stored["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        self.step, self.tokens, self.epoch, self.at = (stored[key] for key in ("step", "tokens", "epoch", "at"))
        logger.info("resumed at step %d, %.1f M tokens", self.step, self.tokens / 1e6)
        return True

    def save(self) -> None:
        """Write the state and the encoder, the latter in half precision."""
        state = {
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "layout": self.layout,
            "step": self.step,
            "tokens": self.tokens,
            "epoch": self.epoch,
            "at": self.at,
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_whole(self.folder / "state.pt", buffer.getvalue())
        finished = copy.deepcopy(self.model.encoder).half()
        finished.config.hidden_dropout_prob, finished.config.attention_probs_dropout_prob = self.dropout
        finished.save_pretrained(self.folder / ".arriving")
        move_whole(self.folder / ".arriving", self.folder / "encoder")

    def train(
        self, training: Batches, validation: Batches, *, tokens: float, decay: float, rank: int = 0, world: int = 1
    ) -> None:
        """Train until that many tokens; the first process logs, saves and measures the held-out losses."""
        batches = training.epoch(self.epoch, rank, world)
        steady_saved = self.tokens >= tokens * (1 - decay)
        log_at, save_at = time.monotonic() + LOG_EVERY, time.monotonic() + SAVE_EVERY
        self.model.train()
        while self.tokens < tokens:
            if self.at == len(batches):
                self.epoch, self.at = self.epoch + 1, 0
                batches = training.epoch(self.epoch, rank, world)
            self._step(training.tensors(*batches[self.at]), learning_rate(self.tokens / tokens, self.peak, decay))
            if rank:
                continue
            if time.monotonic() > log_at:
                log_at = time.monotonic() + LOG_EVERY
                parts = ", ".join(f"{name} {value:.3f}" for name, value in self._averages.items())
                logger.info("step %d, %.2f of %.1f M tokens: %s", self.step, self.tokens / 1e6, tokens / 1e6, parts)
            if not steady_saved and self.tokens >= tokens * (1 - decay):
                steady_saved = True
                self.save()
                write_whole(self.folder / "state-steady.pt", (self.folder / "state.pt").read_bytes())
            if time.monotonic() > save_at or self.tokens >= tokens:
                save_at = time.monotonic() + SAVE_EVERY
                self.save()
                self._measure(validation)

    def _step(self, inputs: tuple[torch.Tensor, ...], rate: float) -> None:
        for group in (group for optimizer in self.optimizers for group in optimizer.param_groups):
            group["lr"] = rate
        with torch.autocast("cpu", torch.bfloat16):
            losses = self.model(*inputs)
        sum(WEIGHTS[name] * value for name, value in losses.items()).backward()
        self.tokens += average_gradients(self.model, inputs[0].numel())
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        self.at, self.step = self.at + 1, self.step + 1
        for name, value in losses.items():
            number = value.item()
            self._averages[name] = 0.98 * self._averages.get(name, number) + 0.02 * number

    def _measure(self, validation: Batches) -> None:
        line = {"step": self.step, "tokens": self.tokens, **held_out(self.model, validation)}
        logger.info("held out: %s", line)
        path = self.folder / "held_out.jsonl"
        before = path.read_bytes() if path.exists() else b""
        write_whole(path, before + (json.dumps(line) + "\n").encode())


@torch.no_grad()
def held_out(model: Pretrainer, batches: Batches) -> dict[str, float]:
    """Mean held-out loss of every objective; the same masks each time."""
    model.eval()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sums: dict[str, list[float]] = {}
        for view, rows in batches.epoch(0):
            with torch.autocast("cpu", torch.bfloat16):
                losses = model(*batches.tensors(view, rows))
            for name, value in losses.items():
                sums.setdefault(name, []).append(float(value))
    model.train()
    return {name: round(float(np.mean(values)), 4) for name, values in sums.items()}


def learning_rate(share: float, peak: float, decay: float, warm_up: float = 0.01) -> float:
    """Warm-up, constant, linear decay to zero over the last `decay` of the budget; `share` of it is spent."""
    if share < warm_up:
        return peak * share / warm_up
    return peak * min(1.0, max(0.0, (1.0 - share) / decay))


def build_optimizers(model: Pretrainer, learning_rate: float, name: str) -> list[torch.optim.Optimizer]:
    """AdamW for everything, or Muon (Jordan et al. 2024) for the matrices of the layers and AdamW for the rest."""
    inner = [p for n, p in model.named_parameters() if ".layer." in n and p.ndim == 2] if name == "muon" else []
    ids = {id(p) for p in inner}
    rest = [p for p in model.parameters() if id(p) not in ids]
    groups = [
        {"params": [p for p in rest if p.ndim > 1], "weight_decay": 0.01},
        {"params": [p for p in rest if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.98), fused=True)
    ]
    if inner:
        optimizers.append(torch.optim.Muon(inner, lr=learning_rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"))
    return optimizers
