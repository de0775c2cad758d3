"""The product of losses, minings, pools and memories: each is what plain loops give, gradients too, or is refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from objective_cases import PRODUCT, Case, objective, works
from plain_losses import LOOPS, distance, draws_of, kind_of, kinds, mean
from torch import Tensor, nn

from emo_hf.errors import UserError
from emo_hf.training.objective import AuxiliaryObjective
from emo_hf.training.trainer import MetricTrainer

CLASSES, WIDTH, ROWS, MICRO_BATCHES, STEPS, WEIGHT = 3, 4, 12, 2, 3, 0.7


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(5, 32), nn.Tanh(), nn.Dropout(0.2), nn.Linear(32, WIDTH)).double()

    def forward(self, input_ids: Tensor, labels: Tensor | None = None) -> SimpleNamespace:
        return SimpleNamespace(embeddings=self.layers(input_ids))


def data() -> list[list[dict[str, Tensor]]]:
    """The micro-batches of every step; a row comes again in its own step, and all come again in later ones."""
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(ROWS, 5, generator=generator, dtype=torch.float64)
    labels = torch.arange(ROWS) % CLASSES
    steps = []
    for _ in range(STEPS):
        order = torch.randperm(ROWS, generator=generator)
        order[-1] = order[0]
        parts = order.chunk(MICRO_BATCHES)
        steps.append([{"input_ids": inputs[rows], "labels": labels[rows], "rows": rows} for rows in parts])
    return steps


def unit(rows: Tensor) -> Tensor:
    return rows / rows.square().sum(-1, keepdim=True).sqrt()


def mean_of_active(terms: list[Tensor]) -> Tensor:
    return mean([term for term in terms if term.item() > 0])


def loop_of_library(name: str, x: Tensor, candidates: Tensor, positives: list, negatives: list) -> Tensor:
    """The losses of pytorch-metric-learning with its defaults, pair by pair."""
    x, candidates = unit(x), unit(candidates)
    d = {(i, j): (x[i] - candidates[j]).square().sum().sqrt() for i, j in positives + negatives}
    cosine = {(i, j): x[i] @ candidates[j] for i, j in positives + negatives}
    if name == "pml:ContrastiveLoss":
        return mean_of_active([d[p] for p in positives]) + mean_of_active([torch.relu(1 - d[n]) for n in negatives])
    if name == "pml:TripletMarginLoss":
        return mean_of_active([torch.relu(d[p] - d[n] + 0.05) for p in positives for n in negatives if p[0] == n[0]])
    if name == "pml:NTXentLoss":
        others = {i: [cosine[n] / 0.07 for n in negatives if n[0] == i] for i in range(len(x))}
        return mean(
            [torch.stack([cosine[p] / 0.07, *others[p[0]]]).logsumexp(0) - cosine[p] / 0.07 for p in positives]
        )
    terms = []
    for i in range(len(x)):
        mine = [cosine[p] / 0.1 for p in positives if p[0] == i]
        if mine:
            spread = torch.stack([*mine, *(cosine[n] / 0.1 for n in negatives if n[0] == i)]).logsumexp(0)
            terms.append(spread - torch.stack(mine).mean())
    return mean(terms)


def plain(of: AuxiliaryObjective, name: str, x: Tensor, batch: dict[str, Tensor], past: dict, seed: int) -> Tensor:
    """The loss of embeddings (B, D) beside remembered ones, in loops."""
    loss, labels, rows = of.loss, batch["labels"], batch["rows"]
    if of.parameters:  # a loss of proxies compares with nothing else, and is the library's own
        return loss.loss(x, labels)
    candidates = torch.cat([x, past["x"]])
    columns, column_rows = torch.cat([labels, past["labels"]]), torch.cat([rows, past["rows"]])
    positives, negatives = kinds(labels, columns, rows, column_rows)
    if name.startswith("pml:"):
        return loop_of_library(name, x, candidates, positives, negatives)
    d = torch.stack([torch.stack([distance(a, b, kind_of(loss)) for b in candidates]) for a in x])
    sampled = getattr(loss, "mining", None) == "sampled"
    draws = draws_of(loss, d, positives, negatives, seed) if sampled else []
    return LOOPS[type(loss)](d, positives, negatives, loss, draws)[0]


def expected(case: Case, of: AuxiliaryObjective, model: nn.Module) -> list[float]:
    """Plain autograd through every micro-batch of a step at once; its gradients are left in the model."""
    aux, _, pool, memory = case
    past: dict[str, Any] = {"x": torch.zeros(0, WIDTH).double(), "labels": torch.zeros(0).long()}
    past["rows"] = past["labels"]
    values = []
    for step, batches in enumerate(data()):
        found = [model(batch["input_ids"]).embeddings for batch in batches]
        if pool == "accumulated":
            batches = [{name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}]
            found = [torch.cat(found)]
        terms = []
        for draw, (x, batch) in enumerate(zip(found, batches, strict=True)):
            seed = int(np.random.SeedSequence([3, step, draw]).generate_state(1, np.uint64)[0] >> 1)
            terms.append(plain(of, aux, x, batch, past, seed))
            now = {"x": x.detach(), "labels": batch["labels"], "rows": batch["rows"]}
            past = {name: torch.cat([now[name], past[name]])[:memory] for name in past}
        value = WEIGHT * mean(terms)
        value.backward()
        values.append(value.item())
    return values


def trained(of: AuxiliaryObjective, model: nn.Module) -> list[float]:
    """As the trainer calls an objective."""
    values = []
    for step, batches in enumerate(data()):
        kept = [p.grad for p in of.parameters]
        of.begin_step(batches)
        for parameter, gradient in zip(of.parameters, kept, strict=True):
            parameter.grad = gradient  # which the trainer has used by now, and this test adds up
        value = 0.0
        for batch in batches:
            of.before_forward(model, dict, step)
            term, _ = of.term(model(batch["input_ids"]).embeddings, batch["labels"], batch["rows"], step, STEPS)
            (term / len(batches)).backward()
            value += term.item() / len(batches)
        values.append(value)
    return values


def gradients(*modules: nn.Module) -> Tensor:
    return torch.cat([p.grad.flatten() for module in modules for p in module.parameters() if p.grad is not None])


@pytest.mark.parametrize("case", PRODUCT, ids=lambda case: "-".join(map(str, case)))
def test_every_combination_is_what_plain_loops_give_or_is_refused(case: Case) -> None:
    more = {"aux_weight": WEIGHT} if case[0] != "none" else {}
    if not works(case):
        with pytest.raises(UserError) as caught:
            objective(case, CLASSES, WIDTH, MICRO_BATCHES, **more)
        assert "\n" not in str(caught.value)
        return
    if case[0] == "none":
        assert objective(case, CLASSES, WIDTH, MICRO_BATCHES) is None
        return
    results = []
    for way in (trained, lambda of, model: expected(case, of, model)):
        of, model = objective(case, CLASSES, WIDTH, MICRO_BATCHES, **more), Network()
        torch.manual_seed(2)
        values = way(of, model)
        results.append((values, gradients(model), gradients(of.loss) if of.parameters else torch.zeros(1)))
    (values, of_model, of_loss), (plain_values, plain_of_model, plain_of_loss) = results
    assert values == pytest.approx(plain_values, abs=1e-10) and max(values) > 1e-3
    assert plain_of_model.abs().max() > 1e-4
    torch.testing.assert_close(of_model, plain_of_model, atol=1e-10, rtol=1e-9)
    torch.testing.assert_close(of_loss, plain_of_loss, atol=1e-10, rtol=1e-9)


def test_proxies_of_a_float64_model_keep_their_digits(make_trainer, tmp_path) -> None:
    trainer = make_trainer(aux="pml:SoftTripleLoss")
    double = MetricTrainer(trainer.model.double(), trainer.args, train_dataset=trainer.train_dataset).auxiliary
    assert double is not None and {p.dtype for p in double.parameters} == {torch.float64}
    with torch.no_grad():
        double.parameters[0].add_(1e-12)
    double.save(tmp_path)
    other = MetricTrainer(trainer.model, trainer.args, train_dataset=trainer.train_dataset).auxiliary
    other.load(tmp_path)
    assert torch.equal(other.parameters[0], double.parameters[0])
