"""A metric loss over all micro-batches of an optimizer step, in the memory of one (Gao et al. 2021, GradCache)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from emo_hf.losses import LossOutput
from emo_hf.losses.distances import as_float
from emo_hf.training.beginning import RandomState


@dataclass
class CachedStep:
    """The metric loss of an optimizer step, and what each of its micro-batches has to add to the gradient.

    `metric` is the loss over all K micro-batches; `gradients` holds its gradient in the embeddings (B, D) of each, and
    `states` the random state before the forward pass of each. `of_parameters` holds the parameters of the loss itself,
    as proxies, each with its gradient.
    """

    metric: LossOutput
    gradients: list[Tensor]
    states: list[RandomState]
    of_parameters: list[tuple[nn.Parameter, Tensor]] = field(default_factory=list)
    used: int = 0

    def restore_random_state(self) -> None:
        """Let the next micro-batch's forward pass draw what it drew when it was cached."""
        self.states[self.used].restore()

    def surrogate(self, embeddings: Tensor) -> Tensor:
        """A scalar with the value of the metric loss whose gradient is the next micro-batch's share, K times.

        Trainer divides the loss of every micro-batch by K, so that the values add up to one metric loss and the
        gradients to its gradient.
        """
        gradient = self.gradients[self.used]
        self.used += 1
        product = (embeddings.to(gradient.dtype) * gradient).sum() * len(self.gradients)
        for parameter, its_gradient in self.of_parameters:  # K times a K-th of it
            product = product + (parameter * its_gradient).sum()
        return product - product.detach() + self.metric.loss.detach()


def cache_step(
    model: nn.Module,
    batches: Sequence[dict[str, Any]],
    pooled_loss: Callable[[list[Tensor]], LossOutput],
    parameters: Sequence[nn.Parameter] = (),
) -> CachedStep:
    """Embed all micro-batches without graph, take the loss over all of them, and keep its gradients.

    Args:
        model: the wrapped model; called without gradients here and once more for each micro-batch by the caller, who
            restores `states[i]` first.
        batches: the inputs of the model, without what it does not take.
        pooled_loss: from the embeddings (B_i, D) of all micro-batches, which require gradients, to their loss.
        parameters: those of the loss, as proxies.
    """
    states: list[RandomState] = []
    embeddings: list[Tensor] = []
    for inputs in batches:
        states.append(RandomState(inputs["input_ids"].device))
        with torch.no_grad():
            embeddings.append(as_float(model(**inputs).embeddings).requires_grad_())
    with torch.enable_grad():
        metric = pooled_loss(embeddings)
        found = torch.autograd.grad(metric.loss, [*embeddings, *parameters], allow_unused=True, materialize_grads=True)
    gradients, own = list(found[: len(embeddings)]), found[len(embeddings) :]
    return CachedStep(metric, gradients, states, list(zip(parameters, own, strict=True)))
