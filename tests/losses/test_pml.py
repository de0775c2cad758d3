"""Losses of pytorch-metric-learning by name."""

from __future__ import annotations

import itertools

import pytest
import torch
from pytorch_metric_learning import distances, losses
from safetensors.torch import load_file

from emo_hf.errors import UserError
from emo_hf.losses import build_loss
from emo_hf.storage.record import read_record
from emo_hf.training.objective import AUX_LOSS_FILE

EUCLIDEAN = distances.LpDistance(normalize_embeddings=False)


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    return torch.randn(24, 8, dtype=torch.float64), torch.randint(3, (24,))


@pytest.mark.parametrize("name", ["MultiSimilarityLoss", "SoftTripleLoss", "ProxyAnchorLoss", "ArcFaceLoss"])
def test_by_name_they_are_the_library_s(batch, name: str) -> None:
    embeddings, labels = batch[0].float().requires_grad_(), batch[1]
    torch.manual_seed(3)
    ours = build_loss(f"pml:{name}", num_classes=3, embedding_size=8)
    torch.manual_seed(3)
    takes = {} if name == "MultiSimilarityLoss" else {"num_classes": 3, "embedding_size": 8}
    theirs = getattr(losses, name)(**takes)
    output = ours(embeddings, labels)
    assert torch.allclose(output.loss, theirs(embeddings, labels))
    output.loss.backward()
    assert embeddings.grad.abs().sum() > 0
    assert output.active.isnan() and output.positive_distance.isnan()


def test_a_batch_without_pairs_keeps_the_graph() -> None:
    embeddings = torch.randn(3, 8, requires_grad=True)
    build_loss("pml:TripletMarginLoss")(embeddings, torch.arange(3)).loss.backward()
    assert torch.equal(embeddings.grad, torch.zeros(3, 8))


@pytest.mark.parametrize("beside", [True, False])
def test_a_row_beside_itself_is_no_pair(batch, beside: bool) -> None:
    """In a memory, as the batch's own rows that come again, or in a batch that several processes have filled up."""
    embeddings, labels = batch
    rows, columns = torch.arange(24), labels
    loss = build_loss("pml:NTXentLoss")
    if beside:
        candidates = torch.cat([embeddings, torch.randn(24, 8, dtype=torch.float64)])
        columns, ids = labels.repeat(2), rows.repeat(2)
        found = loss(embeddings, labels, candidates, columns, rows, ids).loss
    else:
        again = torch.tensor([*range(24), 0, 1, 2])
        candidates = embeddings = embeddings[again]
        columns = labels = labels[again]
        ids = rows = rows[again]
        found = loss(embeddings, labels, rows=rows).loss
    scores = torch.nn.functional.cosine_similarity(embeddings[:, None], candidates[None], dim=-1) / 0.07
    terms = []
    for i, j in itertools.product(range(len(embeddings)), range(len(candidates))):
        if columns[j] == labels[i] and ids[j] != rows[i]:
            others = scores[i][columns != labels[i]]
            terms.append(torch.cat([scores[i, j : j + 1], others]).logsumexp(0) - scores[i, j])
    assert torch.allclose(found, torch.stack(terms).mean(), rtol=1e-8)


def test_a_reference_is_refused_where_it_would_not_count() -> None:
    embeddings, labels = torch.randn(6, 8), torch.arange(6) % 3
    for name in ("ProxyAnchorLoss", "NCALoss"):
        with pytest.raises(UserError, match="takes no reference"):
            build_loss(f"pml:{name}", num_classes=3, embedding_size=8)(embeddings, labels, embeddings, labels)


def test_the_folder_of_a_run_holds_the_proxies_of_its_best_epoch(speck, tmp_path, monkeypatch) -> None:
    from emo_hf import DataArguments, MetricTrainingArguments, ModelArguments
    from emo_hf.training import run as training

    scores, of_epochs = iter([0.3, 0.9, 0.5, 0.7, 0.7]), []  # three epochs, then validation and test rows
    monkeypatch.setattr("emo_hf.training.trainer.trainer_metrics", lambda _: lambda _: {"macro_f1": next(scores)})

    class Keep(training.TrainerCallback):
        def on_save(self, args, state, control, **kwargs):
            [proxies] = load_file(tmp_path / f"checkpoint-{state.global_step}" / AUX_LOSS_FILE).values()
            of_epochs.append(proxies.clone())

    training.run(
        ModelArguments(encoder=speck[0], embedding_size=8),
        DataArguments(data=speck[1], max_length=32),
        MetricTrainingArguments(
            output_dir=str(tmp_path), aux="pml:ProxyAnchorLoss", num_train_epochs=3, bf16=False, disable_tqdm=True,
            learning_rate=1e-2,
        ),
        [Keep()],
    )  # fmt: skip
    [kept] = load_file(tmp_path / AUX_LOSS_FILE).values()
    assert [torch.equal(kept, proxies) for proxies in of_epochs] == [False, True, False]


def test_mistakes_are_one_line() -> None:
    for name, options, said in (
        ("pml:NoSuchLoss", {}, "has no loss 'NoSuchLoss'; it has AngularLoss"),
        ("pml:MultiSimilarityLoss", {"gama": 1}, "gama"),
    ):
        with pytest.raises(UserError, match=said) as caught:
            build_loss(name, **options)
        assert "\n" not in str(caught.value)


def test_proxies_are_trained_saved_and_resumed(csv_file, encoders, tmp_path, monkeypatch) -> None:
    """A run stopped after its first epoch and resumed ends with the proxies of a straight run."""
    from emo_hf import DataArguments, MetricTrainingArguments, ModelArguments
    from emo_hf.training import run as training
    from emo_hf.training.trainer import MetricTrainer

    seen = []
    train = MetricTrainer.train

    def stop_early(self, *args, **kwargs):
        start = [p.detach().clone() for p in self.auxiliary.parameters]
        result = train(self, *args, **kwargs)
        seen.append((start, [p.detach().clone() for p in self.auxiliary.parameters]))
        return result

    monkeypatch.setattr(MetricTrainer, "train", stop_early)

    def run(folder: str, callbacks=(), **more) -> dict:
        settings = {"aux": "pml:ProxyAnchorLoss", "aux_kwargs": '{"alpha": 16}', "num_train_epochs": 2, "bf16": False}
        settings |= {"disable_tqdm": True, "learning_rate": 1e-3, "load_best_model_at_end": False}
        return training.run(
            ModelArguments(encoder=encoders["bert"], embedding_size=16),
            DataArguments(data=csv_file, max_length=32),
            MetricTrainingArguments(output_dir=str(tmp_path / folder), **settings, **more),
            callbacks,
        )

    class Stop(training.TrainerCallback):
        def on_save(self, args, state, control, **kwargs):
            raise KeyboardInterrupt

    run("straight")
    with pytest.raises(KeyboardInterrupt):
        run("stopped", [Stop()])
    [checkpoint] = (tmp_path / "stopped").glob("checkpoint-*")
    assert (checkpoint / AUX_LOSS_FILE).exists()
    run("stopped", resume_from_checkpoint="last")
    (start, straight), (_, resumed) = seen
    assert not torch.equal(start[0], straight[0])
    assert all(torch.equal(a, b) for a, b in zip(straight, resumed, strict=True))
    record = read_record(tmp_path / "straight")
    assert record["arguments"]["training"]["aux_kwargs"] == {"alpha": 16}
    assert "active_share" not in record["history"][0] and record["history"][0]["aux_loss"] > 0
