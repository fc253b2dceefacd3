"""Search terms to intents, offline: terms that share words are one intent, named by the words that mark it.

TF-IDF over words (stems of the crudest kind), cosine distance, average linkage. Takes labels; makes groups. Needs no
network, no model file and no package beyond scipy.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from influbayes.attribution.journeys import FloatArray
from influbayes.tables.sessions import MISSING, PLACEHOLDERS

CUT = 0.75  # cosine distance above which two groups of terms are different intents
MOST_TERMS = 2000
NO_INTENT = "(no term)"
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Intents:
    """`intent` term -> name of its intent; `sizes` intent -> rows."""

    intent: Mapping[str, str]
    sizes: Mapping[str, int]


def group_terms(terms: pd.Series) -> Intents:
    """Return the intent of each distinct term of a column.

    Parameters
    ----------
    terms : Series of str
        One search term a session; ``(missing)`` and placeholders form the intent ``(no term)``.

    Returns
    -------
    Intents
        An intent is named by its two most telling words. Terms beyond the 2,000 most frequent are grouped by their
        first word. The order of rows changes nothing.
    """
    counts = terms.value_counts()
    ordered = sorted(counts.index, key=lambda term: (-int(counts[term]), str(term)))
    empty = [term for term in ordered if term == MISSING or str(term).casefold() in PLACEHOLDERS]
    real = [str(term) for term in ordered if term not in set(empty)]
    intent = dict.fromkeys(map(str, empty), NO_INTENT) | _cluster(real[:MOST_TERMS])
    for term in real[MOST_TERMS:]:
        intent[term] = next(iter(split_words(term)), term)
    sizes: Counter[str] = Counter()
    for term in ordered:
        sizes[intent[str(term)]] += int(counts[term])
    return Intents(intent=intent, sizes=dict(sizes.most_common()))


def split_words(term: str) -> list[str]:
    """Return the words of a term, lower case, a plural "s" removed from words of four letters or more.

    Examples
    --------
    >>> split_words("A100 graphics cards")
    ['a100', 'graphic', 'card']
    """
    words = _WORD.findall(term.casefold())
    return [word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word for word in words]


def _cluster(terms: Sequence[str]) -> dict[str, str]:
    if not terms:
        return {}
    words, matrix = _weigh_words(terms)
    if len(terms) == 1:
        groups = np.array([1])
    else:
        from scipy.cluster.hierarchy import fcluster, linkage
        from scipy.spatial.distance import pdist

        distances = np.clip(np.nan_to_num(pdist(matrix, "cosine"), nan=1.0), 0.0, 1.0)
        groups = fcluster(linkage(distances, "average"), CUT, "distance")
    names = _name_groups(groups, words, matrix)
    return {term: names[int(group)] for term, group in zip(terms, groups, strict=True)}


def _weigh_words(terms: Sequence[str]) -> tuple[list[str], FloatArray]:
    """Return the words and the TF-IDF matrix (terms, words): a word counts more the fewer terms hold it."""
    split = [split_words(term) or [term] for term in terms]
    words = sorted({word for found in split for word in found})
    place = {word: column for column, word in enumerate(words)}
    matrix = np.zeros((len(terms), len(words)))
    for row, found in enumerate(split):
        for word in found:
            matrix[row, place[word]] += 1.0
    held = (matrix > 0).sum(axis=0)
    return words, matrix * (np.log((1 + len(terms)) / (1 + held)) + 1)


def _name_groups(groups: FloatArray, words: Sequence[str], matrix: FloatArray) -> dict[int, str]:
    names: dict[int, str] = {}
    for group in dict.fromkeys(map(int, groups)):
        weight = matrix[groups == group].sum(axis=0)
        best = sorted(np.flatnonzero(weight > 0).tolist(), key=lambda column: (-weight[column], words[column]))[:2]
        name = " ".join(words[column] for column in best)
        taken = sum(other == name or other.startswith(f"{name} (") for other in names.values())
        names[group] = f"{name} ({taken + 1})" if taken else name
    return names
