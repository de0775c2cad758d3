"""What the order of the rows guarantees, on any data."""

from __future__ import annotations

import itertools
import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emo_hf.errors import UserError
from emo_hf.training.rows import rarest
from emo_hf.training.sampling import BalancedLengthSampler, TokenBudgetSampler


@st.composite
def data(draw: st.DrawFn, classes: tuple[int, int] = (1, 8)) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Lengths, labels with any imbalance, batch size, seed."""
    rows = draw(st.integers(1, 120))
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    shares = random.dirichlet(np.full(draw(st.integers(*classes)), draw(st.sampled_from([0.1, 0.5, 5.0]))))
    labels = random.choice(len(shares), rows, p=shares)
    if draw(st.booleans()):  # as when one class has shorter sentences
        labels = np.sort(labels)
    return np.arange(rows) // draw(st.integers(1, 20)) + 3, labels, draw(st.integers(1, 16)), draw(st.integers(0, 99))


def full_batches(sampler: BalancedLengthSampler) -> np.ndarray:
    order, size = np.array(list(sampler)), sampler.batch_size
    return order[: len(order) // size * size].reshape(-1, size)


def good(labels: np.ndarray) -> bool:
    """Two rows or more of two classes or more."""
    return (np.bincount(labels) >= 2).sum() >= 2


@given(data(), st.integers(0, 5))
@settings(deadline=None)
def test_every_row_comes_exactly_once(given_data, epoch):
    lengths, labels, size, seed = given_data
    sampler = BalancedLengthSampler(lengths, labels, size, seed=seed)
    sampler.set_epoch(epoch)
    order = list(sampler)
    assert len(sampler) == len(order)
    assert sorted(order) == list(range(len(labels)))
    assert all(type(row) is int for row in order)


@given(data(classes=(2, 3)), st.integers(0, 3))
@settings(deadline=None, max_examples=300)
def test_every_full_batch_has_pairs_of_two_classes_where_the_data_has_them(given_data, epoch):
    lengths, labels, size, seed = given_data
    # Of three classes and four rows a batch there may be an exact tiling only, which trades between neighbours miss.
    size = max(size, 4 if len(set(labels)) <= 2 else 8)
    sampler = BalancedLengthSampler(lengths, labels, size, seed=seed)
    sampler.set_epoch(epoch)
    batches = full_batches(sampler)
    # Each batch takes two rows of two classes: pairs of one class beyond the number of batches are of no use.
    pairs = np.minimum(np.bincount(labels) // 2, len(batches)).sum()
    found = sum(good(labels[batch]) for batch in batches)
    if pairs >= 2 * len(batches):
        assert found == len(batches)
    elif len(set(labels)) == 2:  # the rarer class decides how many can be good
        assert found == pairs - len(batches)


@pytest.mark.parametrize("size", [4, 8, 32])
@pytest.mark.parametrize("rare", [0.02, 0.1, 0.3])
def test_rare_classes_are_shared_out(size, rare):
    random = np.random.default_rng(1)
    labels = (random.random(3000) < rare).astype(int)
    lengths = 5 + 10 * labels + random.integers(0, 20, 3000)
    batches = full_batches(BalancedLengthSampler(lengths, labels, size))
    assert sum(good(labels[batch]) for batch in batches) == min(len(batches), labels.sum() // 2)


@pytest.mark.parametrize("size", [8, 16])
def test_sixty_classes(size):
    random = np.random.default_rng(2)
    labels = random.integers(0, 60, 2000)
    lengths = random.integers(4, 60, 2000)
    assert all(good(labels[batch]) for batch in full_batches(BalancedLengthSampler(lengths, labels, size)))


def test_too_few_rows_of_a_second_class_are_warned_of_once(caplog):
    labels = np.array([0] * 60 + [1] * 4)
    sampler = BalancedLengthSampler(np.full(64, 9), labels, 8)
    with caplog.at_level(logging.WARNING, logger="emo_hf"):
        list(sampler)
        list(sampler)
    assert [record.getMessage() for record in caplog.records] == [
        "6 of 8 batches lack two rows of a second class: the data has too few"
    ]


def realistic(rows: int = 5000) -> tuple[np.ndarray, np.ndarray]:
    """Tokens and labels as of spoken Korean utterances: most of 10 to 30 tokens, a few long; one class is longer."""
    random = np.random.default_rng(3)
    labels = random.choice(3, rows, p=[0.5, 0.3, 0.2])
    lengths = np.clip(random.lognormal(2.8 + 0.15 * labels, 0.45).astype(int) + 2, 4, 128)
    return lengths, labels


def padding(lengths: np.ndarray, batches: np.ndarray) -> float:
    taken = lengths[batches]
    return 1 - taken.sum() / (taken.max(1).sum() * batches.shape[1])


@pytest.mark.parametrize("size", [16, 32])
def test_little_is_padded(size):
    lengths, labels = realistic()
    batches = full_batches(BalancedLengthSampler(lengths, labels, size))
    assert padding(lengths, batches) < 0.05
    random = np.random.default_rng(4).permutation(len(labels))[: batches.size].reshape(batches.shape)
    assert padding(lengths, random) > 0.3  # what a plain shuffle would pad


def order_of(seed: int, epoch: int, before: tuple[int, ...] = ()) -> list[int]:
    lengths, labels = realistic(500)
    sampler = BalancedLengthSampler(lengths, labels, 16, seed=seed)
    for earlier in before:
        sampler.set_epoch(earlier)
        list(sampler)
    sampler.set_epoch(epoch)
    np.random.default_rng().random(7)
    return list(sampler)


def test_the_order_depends_on_seed_and_epoch_alone():
    np.random.seed(1)
    straight = order_of(5, 3, before=(0, 1, 2))
    np.random.seed(2)
    assert order_of(5, 3) == straight  # as after a resume
    assert order_of(5, 2) != straight
    assert order_of(6, 3) != straight


def test_other_rows_meet_in_the_next_epoch():
    first, second = (np.array(order_of(0, epoch))[: 16 * 31].reshape(31, 16) for epoch in (0, 1))
    meetings = [
        {frozenset(pair) for batch in batches.tolist() for pair in itertools.combinations(batch, 2)}
        for batches in (first, second)
    ]
    assert len(meetings[0] & meetings[1]) < 0.5 * len(meetings[0])


def test_the_incomplete_batch_holds_short_and_long_rows_over_the_epochs():
    lengths, labels = realistic(500)
    sampler = BalancedLengthSampler(lengths, labels, 16)
    means = []
    for epoch in range(30):
        sampler.set_epoch(epoch)
        means.append(lengths[list(sampler)[16 * 31 :]].mean())
    assert min(means) < np.quantile(lengths, 0.25)
    assert max(means) > np.quantile(lengths, 0.75)


def test_no_place_of_an_epoch_prefers_a_class_or_a_length():
    lengths, labels = realistic(640)
    sampler = BalancedLengthSampler(lengths, labels, 32)
    shares, means = np.zeros((20, 3)), np.zeros(20)
    epochs = 300
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        batches = full_batches(sampler)
        shares += np.stack([(labels[batches] == label).mean(1) for label in range(3)], axis=1) / epochs
        means += lengths[batches].mean(1) / epochs
    overall = np.bincount(labels) / len(labels)
    # The mean of 300 batches of 32 rows varies by about 0.5 points; lengths of batches vary by 8 tokens.
    assert np.abs(shares - overall).max() < 0.03
    assert np.abs(means - lengths.mean()).max() < 2.5


def test_what_it_refuses():
    with pytest.raises(ValueError, match="lengths has 3 rows but labels has 2"):
        BalancedLengthSampler([1, 2, 3], [0, 1], 4)
    with pytest.raises(ValueError, match="batch_size is 0"):
        BalancedLengthSampler([1, 2], [0, 1], 0)


@given(data(), st.integers(0, 3), st.integers(1, 3), st.integers(0, 60))
@settings(deadline=None)
def test_batches_of_a_budget_hold_every_row_within_it(given_data, epoch, processes, more):
    lengths, labels, _, seed = given_data
    labels = np.zeros_like(labels)  # no class to swap for
    tokens = 4 * (int(lengths.max()) + 2) + more
    sampler = TokenBudgetSampler(lengths, labels, tokens, seed=seed, processes=processes)
    sampler.set_epoch(epoch)
    batches = list(sampler)
    assert len(batches) == len(sampler) and len(batches) % processes == 0
    rows = [row for batch in batches for row in batch]
    assert set(rows) == set(range(len(labels))) and len(rows) - len(labels) < processes
    assert max(len(batch) * lengths[batch].max() for batch in batches) <= tokens
    turns = [batches[start : start + processes] for start in range(0, len(batches), processes)]
    assert all(len({len(batch) for batch in turn}) == 1 for turn in turns)
    sampler.set_epoch(epoch + 1)
    assert sorted(map(len, sampler)) == sorted(map(len, batches))


@pytest.mark.parametrize("processes", [1, 2])
def test_batches_of_a_budget_are_full_padded_little_and_have_pairs(processes):
    lengths, labels = realistic()
    sampler = TokenBudgetSampler(lengths, labels, 700, processes=processes)
    batches = list(sampler)
    cells = [len(batch) * lengths[batch].max() for batch in batches]
    assert np.mean(cells) > 0.85 * 700
    assert 1 - lengths.sum() / sum(cells) < 0.05
    sizes = [len(batch) for batch in batches]
    assert max(sizes) > 5 * min(sizes)
    assert all(good(labels[batch]) for batch in batches)
    assert abs(np.corrcoef(sizes, np.arange(len(sizes)))[0, 1]) < 0.2  # long and short ones come in no order


def test_rows_swapped_for_their_class_make_a_batch_a_quarter_larger_at_most(caplog):
    random = np.random.default_rng(3)
    lengths = random.integers(4, 129, 3000)
    for labels in (random.random(3000) < 0.1, lengths > 100):
        sampler = TokenBudgetSampler(lengths, labels.astype(int), 2048)
        batches = list(sampler)
        assert sorted(row for batch in batches for row in batch) == list(range(3000))
        assert 2048 < max(len(batch) * lengths[batch].max() for batch in batches) <= 1.25 * 2048
        paired = [good(labels[batch].astype(int)) for batch in batches]
        assert 0.4 < np.mean(paired) < 1
    assert "batches lack two rows" in caplog.text


def test_a_thousand_classes():
    random = np.random.default_rng(4)
    labels = random.integers(0, 1000, 8000)
    order = list(BalancedLengthSampler(random.integers(4, 129, 8000), labels, 16))
    assert all(good(labels[order[start : start + 16]]) for start in range(0, 8000, 16))


def test_a_budget_below_four_of_the_longest_rows_is_refused():
    with pytest.raises(UserError, match=r"--tokens_per_batch is 100, .* have 30 tokens; give at least 128, or lower"):
        TokenBudgetSampler([3, 30, 5, 6], [0, 0, 1, 1], 100)


def sets_like_kote(count: int, seed: int = 0) -> np.ndarray:
    """Sets of 44 labels (N, 44), 7.9 a row, from half of the rows to one in fifty; those of one mood come together."""
    rng = np.random.default_rng(seed)
    shares = np.geomspace(0.45, 0.02, 44)
    mood, half = rng.random(count) < 0.5, np.arange(44) % 2 == 0
    likely = shares * 7.9 / shares.sum() * np.where(mood[:, None] == half, 1.7, 0.3)
    return (rng.random((count, 44)) < likely.clip(0, 0.95)).astype(np.int64)


def pairs_of_batches(sets: np.ndarray, size: int, classes: np.ndarray) -> list[np.ndarray]:
    """How many labels the two rows of each pair share, batch by batch."""
    lengths = np.random.default_rng(1).integers(5, 90, len(sets))
    order = np.array(list(BalancedLengthSampler(lengths, classes, size, seed=1)))
    batches = sets[order[: len(order) // size * size]].reshape(-1, size, sets.shape[1])
    above = np.triu_indices(size, 1)
    return [(batch @ batch.T)[above] for batch in batches]


def test_batches_of_sets_hold_pairs_that_share_labels_and_pairs_that_share_none() -> None:
    """As KOTE's, whose own batches of 16 or 32 have 31 % of pairs without a shared label, and never none of them."""
    sets = sets_like_kote(4000)
    assert 7.5 < sets.sum(1).mean() < 8.3
    for size in (16, 32):
        shared = pairs_of_batches(sets, size, rarest(sets))
        assert all((pairs > 0).any() and (pairs == 0).any() for pairs in shared)
        assert 0.8 < np.mean([(pairs > 0).mean() for pairs in shared]) < 0.9  # 87 %


def test_batches_of_few_labels_a_row_hold_rows_that_share_one() -> None:
    """28 labels, one or two a row, in small batches, where rows that are taken as they come mostly share nothing."""
    rng = np.random.default_rng(0)
    shares = np.geomspace(0.15, 0.01, 28)
    sets = np.zeros((2000, 28), dtype=np.int64)
    for row in sets:
        row[rng.choice(28, size=rng.integers(1, 3), replace=False, p=shares / shares.sum())] = 1
    ours, theirs = (
        [(pairs > 0).any() for pairs in pairs_of_batches(sets, 4, classes)]
        for classes in (rarest(sets), np.arange(len(sets)) % 2)
    )
    assert np.mean(ours) > 0.99 and np.mean(theirs) < 0.6
    without = pairs_of_batches(sets, 4, rarest(sets))
    assert np.mean([(pairs == 0).any() for pairs in without]) > 0.98


def test_the_rarest_label_of_a_row_is_its_class() -> None:
    sets = np.array([[1, 1, 0], [1, 0, 0], [1, 0, 1], [0, 0, 0], [1, 1, 0]])
    assert rarest(sets).tolist() == [1, 0, 2, 3, 1]
