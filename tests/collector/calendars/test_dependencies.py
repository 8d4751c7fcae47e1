"""What follows from what, and why nothing is held for ever."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from forewarn_collector.calendars import Dependency, causes, cycle_in

SHOP = {"service": "shop", "customer": "acme"}
DATABASE = {"service": "database", "customer": "acme"}
HOST = {"instance": "db1", "customer": "acme"}
ON_DATABASE = Dependency({"service": "shop"}, {"service": "database"})
ON_HOST = Dependency({"service": "database"}, {"instance": "db1"})


def test_a_chain_leads_to_the_alert_that_follows_from_no_other() -> None:
    assert causes([ON_DATABASE, ON_HOST], [SHOP, DATABASE, HOST]) == {0: 2, 1: 2}
    assert causes([ON_DATABASE, ON_HOST], [SHOP, DATABASE]) == {0: 1}
    # A link that does not fire breaks the chain.
    assert causes([ON_DATABASE, ON_HOST], [SHOP, HOST]) == {}


def test_another_customers_database_is_not_meant() -> None:
    assert causes([ON_DATABASE], [SHOP, DATABASE | {"customer": "other"}]) == {}
    named = Dependency({"customer": "acme"}, {"customer": "provider"})
    assert causes([named], [SHOP, {"customer": "provider"}]) == {0: 1}


def test_equal_labels_must_be_alike() -> None:
    by_site = Dependency({"service": "shop"}, {"service": "database"}, ("site",))
    assert causes([by_site], [SHOP | {"site": "a"}, DATABASE | {"site": "b"}]) == {}
    assert causes([by_site], [SHOP | {"site": "a"}, DATABASE | {"site": "a"}]) == {0: 1}


def test_alerts_that_only_follow_from_each_other_hold_nothing() -> None:
    # Neither dependency leads to the other by its labels, but these two alerts have both.
    crossed = [
        Dependency({"service": "shop"}, {"instance": "b"}),
        Dependency({"service": "mail"}, {"instance": "a"}),
    ]
    assert cycle_in(crossed) == []
    alerts = [{"service": "shop", "instance": "a"}, {"service": "mail", "instance": "b"}]
    assert causes(crossed, alerts) == {}


def test_an_alert_does_not_follow_from_itself() -> None:
    both = Dependency({"service": "shop"}, {"instance": "a"})
    assert causes([both], [{"service": "shop", "instance": "a"}]) == {}


def test_a_circle_is_found_and_told() -> None:
    back = Dependency({"instance": "db1"}, {"service": "shop"})
    assert cycle_in([ON_DATABASE, ON_HOST]) == []
    assert cycle_in([ON_DATABASE, ON_HOST, back]) == [
        "{service: shop}",
        "{service: database}",
        "{instance: db1}",
        "{service: shop}",
    ]
    assert cycle_in([Dependency({"a": "1"}, {"a": "1", "b": "2"})]) == [
        "{a: 1}",
        "{a: 1, b: 2}",
    ]


labels = st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"), min_size=1)


@given(st.lists(st.builds(Dependency, labels, labels), max_size=5), st.lists(labels, max_size=6))
def test_what_is_held_always_has_a_cause_that_is_not(
    dependencies: list[Dependency], alerts: list[dict[str, str]]
) -> None:
    found = causes(dependencies, alerts)
    for index, cause in found.items():
        assert cause not in found
        assert index != cause
    for index, alert in enumerate(alerts):
        follows = [
            other
            for other in range(len(alerts))
            if other != index and any(d.holds(alert, alerts[other]) for d in dependencies)
        ]
        if index in found:
            assert follows
        # Whatever follows from an alert that stands by itself is held.
        assert index in found or not any(
            other not in found and not any(
                d.holds(alerts[other], alerts[third])
                for d in dependencies for third in range(len(alerts)) if third != other
            )
            for other in follows
        )  # fmt: skip
