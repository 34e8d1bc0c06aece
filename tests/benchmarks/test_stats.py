"""Statistics against closed forms, worked examples of the papers, and other libraries."""

import math

import numpy as np
import pytest
from scikit_posthocs import posthoc_nemenyi_friedman
from scipy import stats
from statsmodels.stats.multitest import multipletests

from gssl.benchmarks.stats.agreement import agreement
from gssl.benchmarks.stats.cost import pareto_front
from gssl.benchmarks.stats.paired import compare, compare_all, holm
from gssl.benchmarks.stats.ranks import complete_block, friedman, groups_within, nemenyi_difference, ranking
from gssl.benchmarks.stats.spread import Spread, spread, spreads


def keyed(*scores: float) -> dict[int, float]:
    return dict(enumerate(scores))


def test_one_score_says_nothing_about_noise() -> None:
    assert spreads([[0.5]]) == [Spread(1, 0.5, None, None, None)]
    assert spread([0.5]).standard_error is None


def test_intervals_come_back_in_the_order_of_the_cells_whatever_their_sizes() -> None:
    rng = np.random.default_rng(3)
    cells = [rng.normal(i, 0.1, size=size).tolist() for i, size in enumerate([3, 5, 1, 3, 8, 5])]
    for cell, found in zip(cells, spreads(cells), strict=True):
        assert found.mean == pytest.approx(np.mean(cell))
        if len(cell) > 1:
            assert found.std == pytest.approx(np.std(cell, ddof=1))
            assert found.low is not None
            assert found.high is not None
            assert min(cell) <= found.low <= found.mean <= found.high <= max(cell)


def test_the_bootstrap_interval_of_two_scores_is_known() -> None:
    # The mean of two draws from {0, 1} is 0, 0.5 or 1 with 1/4, 1/2, 1/4: the middle 95 % reaches from 0 to 1.
    [found] = spreads([[0.0, 1.0]])
    assert (found.low, found.high) == (0.0, 1.0)


def test_the_bootstrap_interval_nears_the_normal_one_for_many_scores() -> None:
    scores = np.random.default_rng(0).normal(size=400)
    [found] = spreads([scores.tolist()])
    assert found.low == pytest.approx(scores.mean() - 1.96 * scores.std() / 20, abs=0.012)
    assert found.high == pytest.approx(scores.mean() + 1.96 * scores.std() / 20, abs=0.012)


def test_paired_tests_are_those_of_scipy() -> None:
    rng = np.random.default_rng(1)
    a, b, c = rng.normal(size=(3, 9))
    found = compare_all([keyed(*a), keyed(*b), keyed(*c)])
    assert [(f.first, f.second) for f in found] == [(0, 1), (0, 2), (1, 2)]
    for f, (x, y) in zip(found, [(a, b), (a, c), (b, c)], strict=True):
        assert f.difference == pytest.approx((x - y).mean())
        assert f.t_p == pytest.approx(stats.ttest_rel(x, y).pvalue)
        assert f.wilcoxon_p == pytest.approx(stats.wilcoxon(x, y).pvalue)


@pytest.mark.parametrize("count", [4, 7, 12, 13])
def test_wilcoxon_with_ties_and_zeros_is_that_of_scipy(count: int) -> None:
    rng = np.random.default_rng(count)
    for _ in range(5):
        difference = rng.integers(-3, 4, size=count).astype(float)
        difference[0] = 0.0
        expected = stats.wilcoxon(difference).pvalue
        assert compare(keyed(*difference), keyed(*np.zeros(count))).wilcoxon_p == pytest.approx(expected)


def test_only_common_keys_are_pairs() -> None:
    # Paired by position, these would be equal; by key they differ by one.
    found = compare({("s", 1): 1.0, ("s", 2): 2.0, ("s", 3): 3.5}, {("s", 2): 1.0, ("s", 3): 2.0, ("s", 4): 9.0})
    assert found.pairs == 2
    assert found.difference == pytest.approx(1.25)


def test_tests_that_say_nothing_give_none_and_do_not_weaken_the_others() -> None:
    same = compare(keyed(1.0, 2.0, 3.0), keyed(1.0, 2.0, 3.0))
    assert (same.t_p, same.wilcoxon_p, same.difference) == (None, None, 0.0)
    assert compare(keyed(1.0), keyed(2.0)).t_p is None
    assert math.isnan(compare({1: 1.0}, {2: 1.0}).difference)
    shifted = compare(keyed(1.0, 2.0, 3.0), keyed(2.0, 3.0, 4.0))
    assert shifted.t_p is None
    assert shifted.wilcoxon_p == pytest.approx(0.25)
    assert holm([0.01, None, None, 0.02]) == [0.02, None, None, 0.02]


def test_holm_is_that_of_statsmodels() -> None:
    p = np.random.default_rng(0).uniform(0, 0.2, size=30).tolist()
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1].tolist())


# Demšar (2006), table 6: AUC of C4.5 and three variants on 14 datasets.
DEMSAR = {
    "adult (sample)": (0.763, 0.768, 0.771, 0.798),
    "breast cancer": (0.599, 0.591, 0.590, 0.569),
    "breast cancer wisconsin": (0.954, 0.971, 0.968, 0.967),
    "cmc": (0.628, 0.661, 0.654, 0.657),
    "ionosphere": (0.882, 0.888, 0.886, 0.898),
    "iris": (0.936, 0.931, 0.916, 0.931),
    "liver disorders": (0.661, 0.668, 0.609, 0.685),
    "lung cancer": (0.583, 0.583, 0.563, 0.625),
    "lymphography": (0.775, 0.838, 0.866, 0.875),
    "mushroom": (1.000, 1.000, 1.000, 1.000),
    "primary tumor": (0.940, 0.962, 0.965, 0.962),
    "rheum": (0.619, 0.666, 0.614, 0.669),
    "voting": (0.972, 0.981, 0.975, 0.9749),  # both printed as 0.975, but ranked second and third
    "wine": (0.957, 0.978, 0.946, 0.970),
}
NAMES = ("C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf")


def test_friedman_and_nemenyi_of_the_worked_example() -> None:
    found = ranking({name: dict(zip(NAMES, row, strict=True)) for name, row in DEMSAR.items()})
    assert found is not None
    means = dict(zip(found.methods, found.mean_ranks, strict=True))
    assert [round(means[name], 3) for name in NAMES] == [3.143, 2.0, 2.893, 1.964]
    # The paper's 9.28 and 3.69 come from its formula without a correction for ties; SciPy corrects.
    plain = 12 * 14 / (4 * 5) * (sum(rank**2 for rank in means.values()) - 4 * 25 / 4)
    assert plain == pytest.approx(9.28, abs=0.01)
    assert found.friedman is not None
    assert found.friedman >= plain
    assert found.iman_davenport_p is not None
    assert 0.01 < found.iman_davenport_p < 0.05
    assert found.critical_difference == pytest.approx(1.25, abs=0.005)
    assert found.groups == ((0, 3),)  # Nemenyi's test is not powerful enough here, as the paper remarks
    assert found.left_out == ()


def test_friedman_without_ties_is_the_papers_formula() -> None:
    ranks = np.array([[1, 2, 3, 4], [1, 3, 2, 4], [2, 1, 4, 3], [1, 2, 4, 3], [1, 4, 2, 3]], dtype=float)
    blocks, count = ranks.shape
    chi = 12 * blocks / (count * (count + 1)) * ((ranks.mean(0) ** 2).sum() - count * (count + 1) ** 2 / 4)
    ratio = (blocks - 1) * chi / (blocks * (count - 1) - chi)
    found = friedman(ranks)
    assert found[0] == pytest.approx(chi)
    assert found[1] == pytest.approx(stats.chi2.sf(chi, count - 1))
    assert found[2] == pytest.approx(stats.f.sf(ratio, count - 1, (count - 1) * (blocks - 1)))


def test_nemenyi_agrees_with_scikit_posthocs() -> None:
    scores = np.random.default_rng(5).normal(size=(12, 5)) + np.arange(5) * 0.7
    p = posthoc_nemenyi_friedman(scores).to_numpy()
    means = stats.rankdata(scores, axis=1).mean(axis=0)
    apart = np.abs(means[:, None] - means) > nemenyi_difference(5, 12)
    assert apart.any()
    assert not apart.all()
    assert (apart == (p < 0.05)).all()


def test_a_ranking_without_any_difference_has_no_statistic() -> None:
    found = ranking({name: {"a": 0.5, "b": 0.5, "c": 0.5} for name in ("x", "y", "z")})
    assert found is not None
    assert (found.friedman, found.mean_ranks) == (None, (2.0, 2.0, 2.0))


def test_methods_that_every_dataset_ranks_alike_are_surely_different() -> None:
    found = ranking({name: {"a": 0.9, "b": 0.6, "c": 0.5} for name in ("x", "y", "z")})
    assert found is not None
    assert found.iman_davenport_p == 0.0
    assert found.methods == ("a", "b", "c")


def test_an_incomplete_table_loses_what_is_missing_most() -> None:
    full = dict.fromkeys("abc", 0.5)
    methods, datasets, left_out = complete_block({"x": {**full, "d": 0.1}, "y": full, "z": full, "w": {"a": 0.5}})
    assert (methods, datasets, set(left_out)) == (["a", "b", "c"], ["x", "y", "z"], {"w", "d"})
    assert ranking({"x": {"a": 0.5}, "y": {"b": 0.5}}) is None


def test_groups_are_maximal_and_strictly_within_the_difference() -> None:
    assert groups_within([1.0, 2.0, 3.0], 1.0) == ()
    assert groups_within([1.0, 1.2, 1.4, 3.0, 3.1], 0.5) == ((0, 2), (3, 4))


def test_the_front_holds_what_nothing_beats() -> None:
    rng = np.random.default_rng(0)
    points = [(float(c), float(q)) for c, q in rng.integers(0, 12, size=(60, 2))]
    front = set(pareto_front(points))
    for i, (cost, quality) in enumerate(points):
        beaten = any(c <= cost and q >= quality and (c < cost or q > quality) for c, q in points)
        assert (i in front) == (not beaten), points[i]


def test_the_noise_limit_is_where_welchs_test_is_significant() -> None:
    ours = spread([0.80, 0.82, 0.81, 0.79, 0.83])
    std = ours.std
    assert std is not None
    limit = agreement(ours, 0.7, 0.02, 20).limit
    assert limit is not None
    p = stats.ttest_ind_from_stats(ours.mean, std, 5, ours.mean - limit, 0.02, 20, equal_var=False).pvalue
    assert p == pytest.approx(0.05)
    assert agreement(ours, ours.mean - 1.01 * limit, 0.02, 20).verdict == "above"
    assert agreement(ours, ours.mean - 0.99 * limit, 0.02, 20).verdict == "agrees"
    assert agreement(ours, ours.mean + 1.01 * limit, 0.02, 20).verdict == "below"


def test_a_source_that_says_less_is_given_the_benefit_of_the_doubt() -> None:
    ours = spread([0.80, 0.82, 0.81])
    known = agreement(ours, 0.83, 0.01, 20).limit
    no_runs = agreement(ours, 0.83, 0.01, None).limit
    nothing = agreement(ours, 0.83, None, None).limit
    assert known is not None
    assert no_runs is not None
    assert nothing == pytest.approx(no_runs)  # our deviation is 0.01 too
    assert no_runs > known or no_runs == pytest.approx(agreement(ours, 0.83, 0.01, 5).limit)


def test_one_seed_of_ours_cannot_disagree() -> None:
    found = agreement(spread([0.5]), 0.9, 0.01, 10)
    assert (found.verdict, found.limit) == ("unknown", None)


def test_scores_without_any_noise_agree_only_if_equal() -> None:
    assert agreement(spread([0.5, 0.5]), 0.5, None, None).verdict == "agrees"
    assert agreement(spread([0.5, 0.5]), 0.4, None, None).verdict == "above"
