"""Label sets as bytes on the wire to checked label sets, each decoded once and then kept."""

from __future__ import annotations

from collections.abc import Iterable

from forewarn_collector.ingest.limits import Kind, Limits, Rejected
from forewarn_collector.ingest.protobuf import LENGTH, fields
from forewarn_wire import Labels
from forewarn_wire.labels import METRIC_NAME

# Past this many the caches start anew: series that came and went must not fill the memory.
_MOST_KEPT = 2_000_000
_SHOWN = 200


class Known:
    """A label set that is kept; compared by identity, since equal sets are one object."""

    __slots__ = ("labels",)

    def __init__(self, labels: Labels) -> None:
        self.labels = labels


class SeriesCache:
    """From the bytes of a series' label fields to its label set, for one set of extra labels.

    `known` may be read directly; what is not in it goes through `learn`. Bytes are a whole number
    of label fields, so whatever begins with them means the same series.
    """

    def __init__(self, limits: Limits, extra: Labels) -> None:
        self._limits = limits
        self.extra = extra
        self.known: dict[bytes, Known] = {}
        self._by_texts: dict[tuple[str, ...], Known] = {}
        self._by_labels: dict[Labels, Known] = {}
        # Equal pairs are one object in all series, which saves most of their memory.
        self._pairs: dict[bytes, tuple[str, str]] = {}
        self._shared: dict[tuple[str, str], tuple[str, str]] = {}

    def trim(self) -> None:
        """Start anew where too much is kept; to be called between bodies."""
        if len(self.known) + len(self._by_texts) > _MOST_KEPT or len(self._pairs) > _MOST_KEPT:
            self.known.clear()
            self._by_texts.clear()
            self._by_labels.clear()
            self._pairs.clear()
            self._shared.clear()

    def learn(self, key: bytes) -> Known | Rejected:
        """The label set of label fields, or why it is refused. Raises WireError: not protobuf."""
        known = self.known.get(key)
        if known is not None:
            return known
        usual = self._usual_pairs(key)
        if usual is not None:
            found = self.known[key] = self._keep(usual)
            return found
        try:
            pairs = [
                _label(key[payload:end])
                for number, wire_type, _, payload, end in fields(key, 0, len(key))
                if number == 1 and wire_type == LENGTH
            ]
        except UnicodeDecodeError:
            return Rejected(Kind.BAD_ENCODING, _readable(key), "a label is not valid UTF-8")
        learned = self.learn_pairs(pairs)
        if isinstance(learned, Known):
            self.known[key] = learned
        return learned

    def learn_texts(self, texts: tuple[str, ...]) -> Known | Rejected:
        """The label set of names and values by turns, or why it is refused."""
        known = self._by_texts.get(texts)
        if known is not None:
            return known
        found = self.learn_pairs(list(zip(texts[::2], texts[1::2], strict=True)))
        if isinstance(found, Known):
            self._by_texts[texts] = found
        return found

    def learn_pairs(self, pairs: list[tuple[str, str]]) -> Known | Rejected:
        """The same of pairs, for those who keep it themselves."""
        problem = problem_of(pairs, self._limits)
        return problem if problem is not None else self._keep(pairs)

    def _keep(self, pairs: list[tuple[str, str]]) -> Known:
        if self.extra:
            pairs = list({**dict(pairs), **dict(self.extra)}.items())
        share = self._shared.setdefault
        labels = tuple(sorted([share(pair, pair) for pair in pairs if pair[1]]))
        return self._by_labels.setdefault(labels, Known(labels))

    def _usual_pairs(self, key: bytes) -> list[tuple[str, str]] | None:
        """The pairs of label fields without any fault, most of which were met before."""
        pairs = []
        position, end = 0, len(key)
        while position < end:
            if key[position] != 0x0A or key[position + 1] >= 0x80:
                return None
            stop = position + 2 + key[position + 1]
            pair = self._pair(key[position + 2 : stop])
            if pair is None:
                return None
            pairs.append(pair)
            position = stop
        names = {name for name, _ in pairs}
        if len(names) < len(pairs) or len(pairs) > self._limits.max_labels:
            return None
        return pairs if METRIC_NAME in names else None

    def _pair(self, message: bytes) -> tuple[str, str] | None:
        """A label; None where something is wrong with it, whatever other labels there are."""
        pair = self._pairs.get(message)
        if pair is None:
            try:
                pair = _label(message)
            except UnicodeDecodeError:
                return None
            alone = [pair] if pair[0] == METRIC_NAME else [pair, (METRIC_NAME, "alone")]
            if problem_of(alone, self._limits) is not None:
                return None
            self._pairs[message] = pair
        return pair


def show(pairs: Iterable[tuple[str, str]]) -> str:
    """A label set for a person to read, cut where it is long."""
    found = list(pairs)
    name = next((value for label, value in found if label == METRIC_NAME), "")
    rest = ", ".join(f'{label}="{value}"' for label, value in found if label != METRIC_NAME)
    text = f"{name}{{{rest}}}"
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def problem_of(pairs: list[tuple[str, str]], limits: Limits) -> Rejected | None:
    """What is wrong with a series' labels, if anything."""
    if len(pairs) > limits.max_labels:
        reason = f"{len(pairs)} labels, over the limit of {limits.max_labels}"
        return Rejected(Kind.LABEL_LIMIT, show(pairs), reason)
    names = [name for name, _ in pairs]
    if not all(names):
        return Rejected(Kind.BAD_NAME, show(pairs), "a label has an empty name")
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        return Rejected(Kind.DUPLICATE_LABEL, show(pairs), f"label {twice} is there twice")
    if not any(name == METRIC_NAME and value for name, value in pairs):
        return Rejected(Kind.BAD_NAME, show(pairs), "the metric has no name (label __name__)")
    for name, value in pairs:
        for text, limit, what in (
            (name, limits.max_label_name, "name"),
            (value, limits.max_label_value, "value"),
        ):
            if len(text) > limit or len(text.encode()) > limit:
                reason = f"the {what} of label {name[:_SHOWN]} is over the limit of {limit} bytes"
                return Rejected(Kind.LABEL_LIMIT, show(pairs), reason)
    return None


def _label(message: bytes) -> tuple[str, str]:
    name = value = b""
    for number, wire_type, _, payload, end in fields(message, 0, len(message)):
        if number == 1 and wire_type == LENGTH:
            name = message[payload:end]
        elif number == 2 and wire_type == LENGTH:
            value = message[payload:end]
    return name.decode(), value.decode()


def _readable(key: bytes) -> str:
    pairs = []
    for _, _, _, start, stop in fields(key, 0, len(key)):
        message = key[start:stop]
        texts = {
            number: message[payload:end].decode(errors="replace")
            for number, _, _, payload, end in fields(message, 0, len(message))
        }
        pairs.append((texts.get(1, ""), texts.get(2, "")))
    return show(pairs)
