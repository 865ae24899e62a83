"""Protects: the network finds the cue that is there, on subjects it has not seen; its evidence says where it is and for
which class; and where there is no cue it finds none.

Sizes: 120 subjects and 14 epochs on 96 pixels are about 15 CPU seconds of training on one thread.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from learning import CPU, Learnt, learn

from templates_engine.networks import embedding, faithful, loaders, saliency, training


@pytest.fixture(scope="module")
def on_disc() -> Learnt:
    return learn("disc", 1.0, subjects=120)


def judge(learnt: Learnt, cue: str) -> None:
    score = learnt.score()
    assert score.auc is not None
    assert score.auc >= 0.95
    d = learnt.differences(cue)
    assert d[cue] >= 3  # positive: evidence for the second class is larger in images of the second class
    others = [abs(v) for name, v in d.items() if name != cue]
    assert d[cue] >= 3 * max(others), d


def test_a_cue_on_the_disc_is_found_there(on_disc: Learnt) -> None:
    judge(on_disc, "disc")


def test_the_strongest_evidence_touches_the_disc(on_disc: Learnt) -> None:
    """In images of class B the cell of most evidence for it; in a right network this is where the ripples are."""
    maps, touches = on_disc.maps, on_disc.touches("disc")
    second = on_disc.labels[on_disc.test] == 1
    best = maps.reshape(len(maps), -1).argmax(axis=1)
    hits = touches.reshape(len(maps), -1)[np.arange(len(maps)), best]
    assert hits[second].mean() >= 0.8


def test_the_share_of_patches_with_much_evidence_tells_the_classes_apart(on_disc: Learnt) -> None:
    from templates_engine.networks.statistics import cohens_d

    maps = on_disc.maps
    limit = saliency.limits(maps, 95)
    second = on_disc.labels[on_disc.test] == 1
    found = [cohens_d((sign * maps > limit).mean(axis=(1, 2)), second) for sign in (1, -1)]
    assert max(abs(d) for d in found if d is not None) > 2


def test_without_a_cue_nothing_is_found() -> None:
    """18 test subjects of the split and 18 more. With two alike eyes of 36 subjects the area's SD is about 0.1."""
    score = learn("disc", 0.0, subjects=120, extra=18, epochs=6, seed=3).score()
    assert score.subjects == 36
    assert score.auc is not None
    assert 0.2 <= score.auc <= 0.8


def test_strong_patches_are_neighbours_in_the_map(on_disc: Learnt) -> None:
    """Of the 15 neighbours of the 5 % of patches with most evidence, half or more are such; by chance 5 % would be."""
    found = embedding.embed(on_disc.network, on_disc.images, on_disc.test, CPU, most=2000, seed=1)
    values = np.abs(on_disc.maps[found.image, found.row, found.column])
    assert embedding.purity(found.places, values >= np.quantile(values, 0.95)) >= 0.5
    regions = embedding.clusters(found.places)
    assert regions.max() >= 2
    assert np.bincount(regions + 1)[1] == np.bincount(regions + 1)[1:].max()  # the largest comes first


def test_components_are_those_of_all_features_at_once(on_disc: Learnt) -> None:
    """Read a few images at a time, the principal components are those of one singular value decomposition."""
    rows = on_disc.test[:18]
    cells = embedding.chosen_cells(18, on_disc.maps.shape[1], 700, 1)
    found, explained = embedding.components(on_disc.network, on_disc.images, rows, cells, CPU)
    with torch.no_grad():
        x = loaders.normalised(loaders.tensor(on_disc.images[rows], CPU))
        whole = on_disc.network.features(x).double().numpy()
    features = whole[cells[:, 0], :, cells[:, 1], cells[:, 2]]
    _, s, _ = np.linalg.svd(features - features.mean(axis=0), full_matrices=False)
    spread = np.sqrt((found.astype(float) ** 2).sum(axis=0))
    assert spread[:10] == pytest.approx(s[:10], rel=1e-3)
    assert explained == pytest.approx((s[:50] ** 2).sum() / (s**2).sum(), rel=1e-6)
    assert len(cells) == 700


def test_masking_the_strongest_patches_lowers_the_logit_more(on_disc: Learnt) -> None:
    """For each class; and with the order turned round (the weakest first) it does not.

    While few are masked, 2 and 5 %: black squares are evidence themselves for a network that has met none, and where
    half of an image is black they rule, one way or the other as the processor rounds in training.
    """

    def early(found: faithful.Masking) -> float:
        return float((found.random - found.strongest)[1:3].mean())

    for label in (0, 1):
        rows = on_disc.test[on_disc.labels[on_disc.test] == label]
        found = faithful.masking(on_disc.network, on_disc.images, rows, on_disc.labels[rows], CPU, 1)
        assert found.strongest[0] == pytest.approx(found.random[0], abs=1e-4)  # nothing is masked yet
        assert early(found) > 1
        wrong = faithful.masking(on_disc.network, on_disc.images, rows, 1 - on_disc.labels[rows], CPU, 1)
        assert early(wrong) < early(found)  # the evidence for the other class


def test_maps_change_when_weights_are_shuffled(on_disc: Learnt) -> None:
    before = {k: v.clone() for k, v in on_disc.network.state_dict().items()}
    found = faithful.randomising(on_disc.network, on_disc.images, on_disc.test[:20], CPU, 1)
    assert [name for name, _ in found][:2] == ["fc", "fc to layer4"]
    assert all(alike < 0.9 for _, alike in found)
    assert all((v == before[k]).all() for k, v in on_disc.network.state_dict().items())  # it was a copy


def test_quality_alone_tells_nothing_where_there_is_nothing() -> None:
    """Measures that know the label are found out; noise is not taken for knowledge (SD of the area about 0.06)."""
    rng = np.random.default_rng(1)
    labels = np.arange(200) % 2
    noise = rng.standard_normal((200, 5))
    fitted, judged = np.arange(100), np.arange(100, 200)
    none = faithful.by_measures(noise, labels, fitted, judged, 2)
    assert none is not None
    assert 0.25 < none < 0.75
    noise[:, 2] += 3 * labels
    told = faithful.by_measures(noise, labels, fitted, judged, 2)
    assert told is not None
    assert told > 0.95
    assert faithful.by_measures(np.ones((200, 5)), labels, fitted, judged, 2) is None


@pytest.mark.slow
@pytest.mark.parametrize(("cue", "seed"), [("macula", 1), ("disc", 2), ("macula", 2)])
def test_other_cues_and_seeds(cue: str, seed: int) -> None:
    judge(learn(cue, 1.0, subjects=120, epochs=16, seed=seed), cue)


def little(seed: int = 1, **changed: object) -> training.Trainer:
    """Twelve random images of 33 pixels, two epochs of the head and three of all layers."""
    from dataclasses import replace

    from templates_engine.networks import making

    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (12, 33, 33, 3), np.uint8)
    pictures = training.Pictures(images, np.arange(12) % 2, 2)
    settings = replace(training.Settings(2, 3, "SGD", 0.05, batch=4, window=2, seed=seed), **changed)  # type: ignore[arg-type]
    network = making.made("SmallBagNet17", 2, seed)
    return training.Trainer(network, pictures, np.arange(8), np.arange(8, 12), settings, CPU)


def test_the_output_layer_is_trained_first_and_alone() -> None:
    trainer = little(epochs_all=1, window=1)
    before = {k: v.clone() for k, v in trainer.network.state_dict().items()}
    seen: list[dict[str, object]] = []
    trainer.run(kept=lambda t: seen.append({k: v.clone() for k, v in t.network.state_dict().items()}))
    for name, value in seen[1].items():  # after the second epoch of the head
        assert (value == before[name]).all() == (not name.startswith("fc.")), name
    changed = [name for name, value in seen[2].items() if not (value == before[name]).all()]
    assert any(name.startswith("layer4") for name in changed)
    assert any("running_mean" in name for name in changed)


def test_the_best_epoch_of_the_closing_window_is_kept() -> None:
    trainer = little(epochs_head=0, epochs_all=6, window=3)
    states: list[dict[str, object]] = []
    fit = trainer.run(kept=lambda t: states.append({k: v.clone() for k, v in t.network.state_dict().items()}))
    window = fit.history[3:]
    best = max(window, key=lambda e: (e.validation_auc or 0.0, -(e.validation_loss or 0.0)))
    assert fit.chosen == best
    assert all((v == states[fit.best_at][k]).all() for k, v in trainer.network.state_dict().items())


def test_a_stopped_training_keeps_its_best() -> None:
    trainer = little(epochs_head=0, epochs_all=50, window=2)
    each = 2  # batches of an epoch
    fit = trainer.run(lambda done, total: done < 7 * each + 1)
    assert not fit.done
    assert len(fit.history) == 7
    assert fit.chosen is not None


class Killed(BaseException):
    pass


@pytest.mark.parametrize("optimiser", ["SGD", "AdamW"])
def test_a_killed_training_goes_on_to_the_same_weights(optimiser: str) -> None:
    """Killed at a random batch, of either phase; the next process has nothing but the bytes of the checkpoint."""
    whole = little(optimiser=optimiser, lr=0.01)
    fit = whole.run()
    rng = np.random.default_rng(11)
    for at in rng.choice(np.arange(1, 10), 3, replace=False):  # of 10 batches
        kept: list[bytes] = []

        def advance(done: int, total: int, at: int = int(at)) -> bool:
            if done == at:
                raise Killed
            return True

        with pytest.raises(Killed):
            little(optimiser=optimiser, lr=0.01).run(advance, lambda t: kept.append(t.packed()))  # noqa: B023
        again = little(optimiser=optimiser, lr=0.01)
        if kept:
            again.unpack(kept[-1])
        assert again.run().history == fit.history
        for a, b in zip(whole.network.state_dict().values(), again.network.state_dict().values(), strict=True):
            assert torch.equal(a, b)


def test_the_order_and_the_changes_depend_on_seed_and_place_alone() -> None:
    a, b = little(), little()
    a.run()
    b.run()
    for x, y in zip(a.network.state_dict().values(), b.network.state_dict().values(), strict=True):
        assert (x == y).all()
    c = little(seed=2)
    c.run()
    assert any(
        (x != y).any() for x, y in zip(a.network.state_dict().values(), c.network.state_dict().values(), strict=True)
    )


def test_no_change_leaves_an_image_as_it_is_and_flips_are_flips() -> None:
    rng = np.random.default_rng(1)
    images = torch.from_numpy(rng.integers(0, 256, (6, 3, 20, 20), np.uint8))
    same = loaders.changed(images, loaders.Ranges(0, 0, 0, 0, False), loaders.generator(1))
    assert (same - images).abs().max() < 1e-2
    flipped = loaders.changed(images, loaders.Ranges(0, 0, 0, 0, True), loaders.generator(1)).round().to(torch.uint8)
    for one, was in zip(flipped, images, strict=True):
        ways = [was, was.flip(1), was.flip(2), was.flip(1, 2)]
        assert any((one.int() - way.int()).abs().max() <= 1 for way in ways)
    turned = loaders.changed(images, loaders.FULL, loaders.generator(2), torch.zeros(20, 20))
    assert (turned == 0).all()  # the mask is laid on again


def test_a_last_batch_of_one_joins_the_one_before() -> None:
    assert [len(p) for p in loaders.batches(np.arange(33), 16)] == [16, 17]
    assert [len(p) for p in loaders.batches(np.arange(34), 16)] == [16, 16, 2]
    assert [len(p) for p in loaders.batches(np.arange(3), 16)] == [3]


def test_a_rate_that_is_too_large_is_told() -> None:
    with pytest.raises(FloatingPointError, match="smaller lr"):
        little(lr=1e30, epochs_head=0).run()
