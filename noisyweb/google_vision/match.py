"""From Cloud Vision's labels to weak answers: yes, no or unsure.

Vision knows some ten thousand English words, not the user's classes: it answers "what is in this image?" with "Car",
"Audi" and "Alloy wheel", never with "Audi S4 Sedan 2012". So:

- **yes**: a label *is* the class's name or one of its synonyms, with a score of at least the minimum.
- **unsure**: a label only holds the name among other words ("Sea lion" for lion, "Car door" for car, "Domestic cat"
  for cat), or its score is below the minimum. Vision says "Cat" beside "Domestic cat" if it means so; of "Sea lion" it
  does not say "Lion", and just these are what a search for a name brings up wrongly.
- **no**: nothing of that, and Vision has named this very class in some other image of the workspace. It knows the
  word, then, and did not use it here.
- **unsure**: Vision has never used the word. Maybe it has none for this class, and its silence says nothing: to call
  every "Audi S4 Sedan 2012" wrong would only tell the vocabulary's limits.

Names and labels are compared by words: case, accents, hyphens, underscores and other punctuation do not count, nor
does where a compound is split ("hotdog", "Hot dog"). A word also equals its *regular* English plural: -s, -es after
s, x, z, ch, sh and o, -ies for a consonant and y. Irregular ones (wolves, mice) need a synonym; pairs such as glass and
glasses are taken as equal. Words within others do not count: "cat" is not in "caterpillar".
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

Words = tuple[str, ...]
Seen = tuple[str, Sequence[tuple[str, float]]]
"""An image's id and its labels: description and score."""


@lru_cache(65_536)
def words(text: str) -> Words:
    """The words of a name or label: lower case, without accents and punctuation."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return tuple(re.findall(r"[^\W_]+", re.sub(r"['’]", "", plain.casefold())))


@lru_cache(65_536)
def singulars(word: str) -> frozenset[str]:
    """A word, and those that it may be the regular plural of."""
    found = {word}
    if len(word) > 3 and word.endswith("s"):
        if not word[:-1].endswith(("s", "x", "z", "ch", "sh")):
            found.add(word[:-1])
        if word.endswith("es") and word[:-2].endswith(("s", "x", "z", "ch", "sh", "o")):
            found.add(word[:-2])
        if word.endswith("ies") and word[-4] not in "aeiou":
            found.add(f"{word[:-3]}y")
    return frozenset(found)


def is_same(left: str, right: str) -> bool:
    """Whether two words are equal, or one is the other's plural."""
    return left in singulars(right) or right in singulars(left)


class Vocabulary:
    """Which classes a label speaks of.

    Args:
        names: all names of each class, in English, by the class's label.
    """

    def __init__(self, names: Mapping[int, Sequence[str]]) -> None:
        self._whole: dict[str, list[tuple[int, str]]] = defaultdict(list)
        self._first: dict[str, list[tuple[int, Words]]] = defaultdict(list)
        for label, texts in names.items():
            for name in dict.fromkeys(words(text) for text in texts):
                if not name:
                    continue
                for form in singulars("".join(name)):
                    self._whole[form].append((label, "".join(name)))
                for form in singulars(name[0]):
                    self._first[form].append((label, name))
        self._known: dict[str, tuple[frozenset[int], frozenset[int]]] = {}

    def classes(self, description: str) -> tuple[frozenset[int], frozenset[int]]:
        """The classes that a label names, and those whose names it only holds among other words."""
        if description not in self._known:
            named, held = frozenset(self._named(words(description))), frozenset(self._held(words(description)))
            self._known[description] = (named, held - named)
        return self._known[description]

    def _named(self, said: Words) -> Iterator[int]:
        joined = "".join(said)
        for form in singulars(joined):
            for label, name in self._whole.get(form, ()):
                if is_same(joined, name):
                    yield label
        yield from (label for label, name in self._starting(said, 0) if len(name) == len(said))

    def _held(self, said: Words) -> Iterator[int]:
        for place in range(len(said)):
            yield from (label for label, _ in self._starting(said, place))

    def _starting(self, said: Words, place: int) -> Iterator[tuple[int, Words]]:
        """Names that stand in a label from one of its words on."""
        for form in singulars(said[place]) if said else ():
            for label, name in self._first.get(form, ()):
                part = said[place : place + len(name)]
                if len(part) == len(name) and all(map(is_same, part, name)):
                    yield label, name


def answers(
    asked: Sequence[tuple[str, int]], seen: Iterable[Seen], vocabulary: Vocabulary, min_score: float
) -> list[str | None]:
    """Answer questions from labels.

    Args:
        asked: image id and class of each question.
        seen: all images that have an answer, those of no question included; gone through once.
        vocabulary: the classes' names.
        min_score: from which on a label counts, 0..1.

    Returns:
        yes, no or unsure for each question, by the rules above; None where the image has no answer.
    """
    best: dict[str, dict[int, float]] = {}
    held: dict[str, set[int]] = {}
    for image_id, labels in seen:
        scores: dict[int, float] = {}
        near: set[int] = set()
        for description, score in labels:
            named, within = vocabulary.classes(description)
            near |= within
            for label in named:
                scores[label] = max(score, scores.get(label, 0.0))
        best[image_id], held[image_id] = scores, near
    known = {label for scores in best.values() for label in scores}

    def answer(image_id: str, label: int) -> str | None:
        if image_id not in best:
            return None
        score = best[image_id].get(label)
        if score is not None:
            return "yes" if score >= min_score else "unsure"
        return "no" if label in known and label not in held[image_id] else "unsure"

    return [answer(image_id, label) for image_id, label in asked]
