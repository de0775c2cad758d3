"""Losses of pytorch-metric-learning by name."""

from __future__ import annotations

import pytest
import torch
from pytorch_metric_learning import distances, losses

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
