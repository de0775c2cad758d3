"""Every loss and mining against plain Python loops in float64, on random and on adversarial batches."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from plain_losses import compare, distance, kind_of, random_batch, settings_of
from torch import Tensor, nn

from emo_hf.losses import ContrastiveLoss, SupConLoss, TripletLoss
from emo_hf.losses import triplet_sums as counts
from emo_hf.losses.distances import DISTANCES, paired_distance, pairwise_distance
from emo_hf.losses.pairs import draw

TRIPLETS = [
    (mining, reduction, soft)
    for mining, reduction, soft in itertools.product(TripletLoss.minings, TripletLoss.reductions, (False, True))
    if not (soft and mining == "all")
]
CONTRASTIVES = list(itertools.product(ContrastiveLoss.minings, (False, True)))
LOSSES = [
    *(ContrastiveLoss(mining=mining, balanced=balanced) for mining, balanced in CONTRASTIVES),
    *(TripletLoss(mining=mining, reduction=reduction, soft=soft) for mining, reduction, soft in TRIPLETS),
    SupConLoss(),
]


def name(loss: nn.Module) -> str:
    return "-".join([type(loss).__name__, *map(str, settings_of(loss).values())])


def under(loss: nn.Module, **changes: object) -> nn.Module:
    """The same loss with some settings changed; SupCon has neither distance nor margin and stays as it is."""
    return loss if isinstance(loss, SupConLoss) else type(loss)(**{**settings_of(loss), **changes})


@pytest.fixture(params=["small", "sorted"])
def counting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of counting triplets, the second in several blocks of rows."""
    if request.param == "sorted":
        monkeypatch.setattr(counts, "_FEW_TRIPLETS", 0)
        monkeypatch.setattr(counts, "_BLOCK", 20)


@pytest.mark.usefixtures("counting")
@pytest.mark.parametrize("kind", DISTANCES)
@pytest.mark.parametrize("loss", LOSSES, ids=name)
def test_value_and_gradient_equal_the_plain_loop(loss: nn.Module, kind: str) -> None:
    loss = under(loss, distance=kind, margin=0.8)
    for seed, (size, reference, ids) in enumerate([(9, None, False), (9, None, True), (6, 8, False), (6, 8, True)]):
        batch = random_batch(seed, size, 3, 3, reference, ids)
        x = batch["embeddings"]
        d = [[distance(a, b, kind_of(loss)) for b in batch.get("reference", x)] for a in x]
        compare(loss, batch, torch.stack([torch.stack(row) for row in d]))


@st.composite
def adversarial_batches(draw_from: st.DrawFn) -> dict[str, Tensor]:
    """Few points on a small grid: duplicates, ties, distances of exactly the margin, classes of one, no rows."""
    size = draw_from(st.integers(0, 7))
    width = draw_from(st.integers(1, 2))
    points = st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=width, max_size=width)
    scale = draw_from(st.sampled_from([1.0, 1e-3, 1e3]))

    def rows(n: int) -> Tensor:
        cells = draw_from(st.lists(points, min_size=n, max_size=n))
        return (torch.tensor(cells, dtype=torch.float64).view(n, width) * scale).requires_grad_()

    def integers(n: int, high: int) -> Tensor:
        return torch.tensor(draw_from(st.lists(st.integers(0, high), min_size=n, max_size=n)), dtype=torch.int64)

    batch = {"embeddings": rows(size), "labels": integers(size, 2)}
    reference = draw_from(st.none() | st.integers(0, 5))
    if reference is not None:
        batch |= {"reference": rows(reference), "reference_labels": integers(reference, 2)}
    if draw_from(st.booleans()):
        batch["rows"] = integers(size, 9)
        if reference is not None:
            batch["reference_rows"] = integers(reference, 9)
    return batch


# The pull of a soft margin that underflows, and yet is one.
FAR = {
    "embeddings": torch.tensor([[0.0]] * 5 + [[1000.0]], dtype=torch.float64, requires_grad=True),
    "labels": torch.tensor([0, 0, 0, 0, 1, 1]),
}


@settings(max_examples=60, deadline=None)
@example(FAR, TripletLoss(mining="sampled", soft=True), "euclidean", 0.0)
@example(FAR, TripletLoss(mining="semi-hard", soft=True), "euclidean", 0.0)
@given(adversarial_batches(), st.sampled_from(LOSSES), st.sampled_from(DISTANCES), st.sampled_from([0.0, 0.5, 1.0]))
def test_adversarial_batches_equal_the_plain_loop(batch, loss, kind, margin) -> None:
    loss = under(loss, distance=kind, margin=margin)
    # The loop takes our distances, else a tie could fall the other way by one rounding; they have tests of their own.
    # Where mining may choose among equal distances the gradient is not unique.
    d = pairwise_distance(batch["embeddings"], batch.get("reference"), kind_of(loss))
    if getattr(loss, "mining", None) == "sampled":
        d = paired_distance(
            batch["embeddings"][:, None], batch.get("reference", batch["embeddings"])[None], kind_of(loss)
        )
    compare(loss, batch, d, gradients=getattr(loss, "mining", "all") in ("all", "sampled"))


@pytest.mark.parametrize("loss", LOSSES, ids=name)
@pytest.mark.parametrize("kind", DISTANCES)
def test_gradcheck(loss: nn.Module, kind: str) -> None:
    loss = under(loss, distance=kind)
    batch = random_batch(3, 7, 4, 3, 6, True)
    x, reference = batch.pop("embeddings"), batch.pop("reference")

    def value(x: Tensor, reference: Tensor) -> Tensor:
        return loss(x, reference=reference, generator=torch.Generator().manual_seed(1), **batch).loss

    assert torch.autograd.gradcheck(value, (x, reference))


@pytest.mark.parametrize("margin", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("classes", [1, 3, 40])
def test_every_way_of_counting_equals_the_definition(monkeypatch, dtype, margin, classes) -> None:
    for seed in range(4):
        generator = torch.Generator().manual_seed(seed)
        d = torch.randint(0, 6, (41, 53), generator=generator).to(dtype) / 2  # ties everywhere
        if seed % 2:
            d += torch.rand(41, 53, generator=generator, dtype=dtype)
        labels, columns = (torch.randint(0, classes, (n,), generator=generator) for n in d.shape)
        excluded = torch.rand(d.shape, generator=generator) < 0.1
        positive = (labels[:, None] == columns) & ~excluded
        negative = (labels[:, None] != columns) & ~excluded
        active = (d[:, :, None] + margin > d[:, None]) & positive[:, :, None] & negative[:, None]
        expected = (active.sum(2) - active.sum(1)).to(dtype)
        for few, block in ((2**30, 1), (0, 2**17), (0, 200)):
            monkeypatch.setattr(counts, "_FEW_TRIPLETS", few)
            monkeypatch.setattr(counts, "_BLOCK", block)
            assert torch.equal(counts.hinge_counts(d, positive, negative, margin), expected)
            chosen = d.gather(1, counts.semi_hard_negatives(d, positive, negative))
            for i, p in positive.nonzero().tolist():
                other = d[i][negative[i]]
                if len(other):
                    farther = other[other > d[i, p]]
                    assert chosen[i, p] == (farther.min() if len(farther) else other.max())


@pytest.mark.parametrize("loss", LOSSES, ids=name)
@pytest.mark.parametrize("case", ["one row", "no row", "no reference row", "one row repeated by id"])
def test_nothing_to_compare_is_a_zero_that_carries_the_graph(loss: nn.Module, case: str) -> None:
    size = {"one row": 1, "no row": 0}.get(case, 4)
    x = torch.randn(size, 3, requires_grad=True)
    labels = torch.zeros(size, dtype=torch.int64)
    more = {}
    if case == "no reference row":
        more = {"reference": torch.zeros(0, 3), "reference_labels": torch.zeros(0, dtype=torch.int64)}
    if case == "one row repeated by id":
        more = {"rows": torch.full((size,), 7)}
    output = loss(x, labels, **more)
    output.loss.backward()
    assert output.loss.item() == 0 and output.active.item() == 0
    assert output.positive_distance.isnan() and output.negative_distance.isnan()
    assert torch.equal(x.grad, torch.zeros_like(x))


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if not isinstance(loss, ContrastiveLoss)], ids=name)
@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 1, 2, 3]])
def test_one_class_or_all_classes_apart_is_zero(loss: nn.Module, labels: list[int]) -> None:
    x = torch.randn(4, 3, requires_grad=True)
    output = loss(x, torch.tensor(labels))
    output.loss.backward()
    assert output.loss.item() == 0 and output.active.item() == 0
    assert torch.equal(x.grad, torch.zeros_like(x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", DISTANCES)
@pytest.mark.parametrize("loss", LOSSES, ids=name)
def test_duplicates_have_finite_gradients(loss: nn.Module, kind: str, dtype: torch.dtype) -> None:
    loss = under(loss, distance=kind)
    x = torch.randn(1, 256, dtype=dtype).repeat(6, 1).requires_grad_()
    output = loss(x, torch.tensor([0, 0, 0, 1, 1, 2]))
    output.loss.backward()
    assert output.loss.isfinite()
    torch.testing.assert_close(x.grad, torch.zeros_like(x), atol=1e-5, rtol=0)
    if kind == "euclidean" and not isinstance(loss, SupConLoss):
        assert torch.equal(x.grad, torch.zeros_like(x))


def test_float32_counts_many_triplets_as_float64_does() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(900) % 3
    x = torch.randn(900, 8, generator=generator) + torch.nn.functional.one_hot(labels, 8)
    outputs = []
    for dtype in (torch.float32, torch.float64):
        leaf = x.detach().to(dtype, copy=True).requires_grad_()
        output = TripletLoss()(leaf, labels)
        output.loss.backward()
        outputs.append((output.loss.double(), output.active.double(), leaf.grad.double()))
    (loss, active, slope), (exact_loss, exact_active, exact_slope) = outputs
    torch.testing.assert_close((loss, active), (exact_loss, exact_active), atol=0, rtol=1e-5)
    # A triplet at the very border of the margin may count in one precision and not in the other.
    assert (slope - exact_slope).norm() < 1e-4 * exact_slope.norm()


@pytest.mark.parametrize(
    ("dtype", "kind"), [(torch.float16, "euclidean"), (torch.bfloat16, "squared_euclidean"), (torch.float16, "cosine")]
)
@pytest.mark.parametrize("loss", LOSSES, ids=name)
def test_half_precision_is_computed_in_float32(loss: nn.Module, kind: str, dtype: torch.dtype) -> None:
    loss = under(loss, distance=kind)
    torch.manual_seed(0)
    x = torch.nn.functional.normalize(torch.randn(24, 256)) * 1e3
    labels = torch.randint(0, 3, (24,))
    half = x.to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = loss(half, labels, generator=torch.Generator().manual_seed(0))
        output.loss.backward()
    full = loss(half.detach().float(), labels, generator=torch.Generator().manual_seed(0))
    # The contrastive loss of squared distances is left out in float16: it cannot hold the gradient of a fourth power.
    assert output.loss.dtype == torch.float32 and output.loss.isfinite() and half.grad.isfinite().all()
    torch.testing.assert_close(output.loss, full.loss)


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if getattr(loss, "mining", "all") != "sampled"], ids=name)
def test_compiles_as_one_graph(loss: nn.Module) -> None:
    torch.compiler.reset()
    x, labels = torch.randn(12, 8), torch.arange(12) % 3
    compiled, eager = x.clone().requires_grad_(), x.clone().requires_grad_()
    torch.compile(lambda x, labels: loss(x, labels).loss, backend="eager", fullgraph=True)(compiled, labels).backward()
    loss(eager, labels).loss.backward()
    torch.testing.assert_close(compiled.grad, eager.grad, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_reduced_matrix_precision_is_not_used(precision: str) -> None:
    x = torch.randn(40, 256)
    exact = pairwise_distance(x)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        torch.testing.assert_close(pairwise_distance(x), exact, atol=1e-3, rtol=1e-5)
    finally:
        torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize("loss", [ContrastiveLoss(mining="sampled"), TripletLoss(mining="sampled")], ids=name)
def test_sampled_mining_follows_the_generator(loss: nn.Module) -> None:
    x, labels = torch.randn(30, 8), torch.arange(30) % 3

    def value(seed: int) -> float:
        return loss(x, labels, generator=torch.Generator().manual_seed(seed)).loss.item()

    assert value(1) == value(1)
    assert len({value(seed) for seed in range(5)}) == 5


def test_draw_is_uniform_over_what_is_allowed() -> None:
    mask = torch.tensor([[1, 0, 1, 1, 0], [0, 0, 0, 0, 0], [0, 1, 0, 0, 0], [1, 1, 1, 1, 1]], dtype=torch.bool)
    generator = torch.Generator().manual_seed(0)
    times = 6000
    seen = torch.zeros(4, 5)
    for _ in range(times // 100):
        index, found = draw(mask.repeat(100, 1), generator)
        seen.view(-1).index_add_(0, index + 5 * torch.arange(4).repeat(100), found.float())
    assert found.tolist() == [True, False, True, True] * 100
    assert not seen[~mask].any()
    expected = mask * times / mask.sum(1, keepdim=True).clamp(min=1)
    chi_square = ((seen - expected) ** 2 / expected.clamp(min=1)).sum()
    assert chi_square < 25  # six degrees of freedom: by chance once in 3,000


def test_the_means_of_the_distances() -> None:
    x = torch.tensor([[0.0], [1.0], [4.0]])
    for loss in (ContrastiveLoss(distance="euclidean"), TripletLoss(distance="euclidean")):
        output = loss(x, torch.tensor([0, 0, 1]))
        assert output.positive_distance.item() == pytest.approx(1)
        assert output.negative_distance.item() == pytest.approx(3.5)
        assert not output.active.requires_grad and not output.positive_distance.requires_grad


@pytest.mark.parametrize("loss", LOSSES, ids=name)
def test_a_reference_of_the_batch_itself_changes_nothing(loss: nn.Module) -> None:
    batch = random_batch(0, 10, 4, 3, None, False)
    x, labels = batch["embeddings"], batch["labels"]
    alone = loss(x, labels, generator=torch.Generator().manual_seed(0)).loss
    rows = torch.arange(10)
    beside = loss(x, labels, x, labels, rows, rows, generator=torch.Generator().manual_seed(0)).loss
    torch.testing.assert_close(beside, alone, atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(
        *(torch.autograd.grad(value, x)[0] for value in (beside, alone)), atol=1e-10, rtol=1e-10
    )


@pytest.mark.parametrize("loss", LOSSES, ids=name)
def test_a_short_training_separates_raw_embeddings(loss: nn.Module) -> None:
    torch.manual_seed(0)
    labels = torch.arange(30) % 3
    inputs = torch.randn(30, 20) + torch.nn.functional.one_hot(labels, 20) * 2
    layer = nn.Linear(20, 256)
    optimizer = torch.optim.Adam(layer.parameters(), lr=1e-2)

    def ratio() -> float:
        output = ContrastiveLoss(distance="cosine")(layer(inputs), labels)
        return (output.positive_distance / output.negative_distance).item()

    before = ratio()
    for _ in range(60):
        optimizer.zero_grad()
        loss(layer(inputs), labels).loss.backward()
        optimizer.step()
    assert ratio() < before * 0.5
