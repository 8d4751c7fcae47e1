"""Recurrence rules, by the examples of RFC 5545 and against python-dateutil."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice

import pytest
from dateutil.rrule import rrulestr
from hypothesis import assume, given
from hypothesis import strategies as st
from icalendar import vRecur

from forewarn_collector.calendars.recurrence import Recurrence, parse_recurrence
from forewarn_collector.calendars.zones import zone_of

NEW_YORK = zone_of("America/New_York")
END = datetime(2100, 12, 31)


def parse(text: str, first: datetime) -> Recurrence:
    return parse_recurrence(vRecur.from_ical(text), first, NEW_YORK)


def starts(text: str, first: datetime, most: int = 1000) -> list[datetime]:
    return list(islice(parse(text, first).starts(first, first, END), most))


def days(text: str) -> list[datetime]:
    """Days written as in the RFC: "1997 Sep 2,4; Oct 7", all at nine."""
    found = []
    for year_part in text.split(" | "):
        year, _, months = year_part.partition(" ")
        for part in months.split("; "):
            month, _, numbers = part.partition(" ")
            found += [
                datetime.strptime(f"{year} {month} {day} 9", "%Y %b %d %H")
                for day in numbers.split(",")
            ]
    return found


FIRST = datetime(1997, 9, 2, 9)

# RFC 5545, section 3.8.5.3: rule, DTSTART and the dates that it prints, all "9:00 AM".
EXAMPLES = [
    ("FREQ=DAILY;COUNT=10", FIRST, "1997 Sep 2,3,4,5,6,7,8,9,10,11"),
    ("FREQ=DAILY;INTERVAL=2", FIRST, "1997 Sep 2,4,6,8,10,12,14,16,18,20,22,24,26,28,30; Oct 2,4"),
    ("FREQ=DAILY;INTERVAL=10;COUNT=5", FIRST, "1997 Sep 2,12,22; Oct 2,12"),
    ("FREQ=WEEKLY;COUNT=10", FIRST, "1997 Sep 2,9,16,23,30; Oct 7,14,21,28; Nov 4"),
    (
        "FREQ=WEEKLY;INTERVAL=2;WKST=SU",
        FIRST,
        "1997 Sep 2,16,30; Oct 14,28; Nov 11,25; Dec 9,23 | 1998 Jan 6,20; Feb 3,17",
    ),
    (
        "FREQ=WEEKLY;UNTIL=19971007T000000Z;WKST=SU;BYDAY=TU,TH",
        FIRST,
        "1997 Sep 2,4,9,11,16,18,23,25,30; Oct 2",
    ),
    (
        "FREQ=WEEKLY;INTERVAL=2;UNTIL=19971224T000000Z;WKST=SU;BYDAY=MO,WE,FR",
        datetime(1997, 9, 1, 9),
        "1997 Sep 1,3,5,15,17,19,29; Oct 1,3,13,15,17,27,29,31; Nov 10,12,14,24,26,28; "
        "Dec 8,10,12,22",
    ),
    (
        "FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH",
        FIRST,
        "1997 Sep 2,4,16,18,30; Oct 2,14,16",
    ),
    (
        "FREQ=MONTHLY;COUNT=10;BYDAY=1FR",
        datetime(1997, 9, 5, 9),
        "1997 Sep 5; Oct 3; Nov 7; Dec 5 | 1998 Jan 2; Feb 6; Mar 6; Apr 3; May 1; Jun 5",
    ),
    (
        "FREQ=MONTHLY;INTERVAL=2;COUNT=10;BYDAY=1SU,-1SU",
        datetime(1997, 9, 7, 9),
        "1997 Sep 7,28; Nov 2,30 | 1998 Jan 4,25; Mar 1,29; May 3,31",
    ),
    (
        "FREQ=MONTHLY;COUNT=6;BYDAY=-2MO",
        datetime(1997, 9, 22, 9),
        "1997 Sep 22; Oct 20; Nov 17; Dec 22 | 1998 Jan 19; Feb 16",
    ),
    (
        "FREQ=MONTHLY;BYMONTHDAY=-3",
        datetime(1997, 9, 28, 9),
        "1997 Sep 28; Oct 29; Nov 28; Dec 29 | 1998 Jan 29; Feb 26",
    ),
    (
        "FREQ=MONTHLY;COUNT=10;BYMONTHDAY=2,15",
        FIRST,
        "1997 Sep 2,15; Oct 2,15; Nov 2,15; Dec 2,15 | 1998 Jan 2,15",
    ),
    (
        "FREQ=MONTHLY;COUNT=10;BYMONTHDAY=1,-1",
        datetime(1997, 9, 30, 9),
        "1997 Sep 30; Oct 1,31; Nov 1,30; Dec 1,31 | 1998 Jan 1,31; Feb 1",
    ),
    (
        "FREQ=MONTHLY;INTERVAL=18;COUNT=10;BYMONTHDAY=10,11,12,13,14,15",
        datetime(1997, 9, 10, 9),
        "1997 Sep 10,11,12,13,14,15 | 1999 Mar 10,11,12,13",
    ),
    (
        "FREQ=MONTHLY;INTERVAL=2;BYDAY=TU",
        FIRST,
        "1997 Sep 2,9,16,23,30; Nov 4,11,18,25 | 1998 Jan 6,13,20,27; Mar 3,10,17,24,31",
    ),
    (
        "FREQ=YEARLY;COUNT=10;BYMONTH=6,7",
        datetime(1997, 6, 10, 9),
        "1997 Jun 10; Jul 10 | 1998 Jun 10; Jul 10 | 1999 Jun 10; Jul 10 | 2000 Jun 10; Jul 10"
        " | 2001 Jun 10; Jul 10",
    ),
    (
        "FREQ=YEARLY;INTERVAL=2;COUNT=10;BYMONTH=1,2,3",
        datetime(1997, 3, 10, 9),
        "1997 Mar 10 | 1999 Jan 10; Feb 10; Mar 10 | 2001 Jan 10; Feb 10; Mar 10"
        " | 2003 Jan 10; Feb 10; Mar 10",
    ),
    (
        "FREQ=YEARLY;INTERVAL=3;COUNT=10;BYYEARDAY=1,100,200",
        datetime(1997, 1, 1, 9),
        "1997 Jan 1; Apr 10; Jul 19 | 2000 Jan 1; Apr 9; Jul 18 | 2003 Jan 1; Apr 10; Jul 19"
        " | 2006 Jan 1",
    ),
    (
        "FREQ=YEARLY;BYDAY=20MO",
        datetime(1997, 5, 19, 9),
        "1997 May 19 | 1998 May 18 | 1999 May 17",
    ),
    (
        "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO",
        datetime(1997, 5, 12, 9),
        "1997 May 12 | 1998 May 11 | 1999 May 17",
    ),
    (
        "FREQ=YEARLY;BYMONTH=3;BYDAY=TH",
        datetime(1997, 3, 13, 9),
        "1997 Mar 13,20,27 | 1998 Mar 5,12,19,26 | 1999 Mar 4,11,18,25",
    ),
    (
        "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13",
        FIRST,
        "1998 Feb 13; Mar 13; Nov 13 | 1999 Aug 13 | 2000 Oct 13",
    ),
    (
        "FREQ=MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13",
        datetime(1997, 9, 13, 9),
        "1997 Sep 13; Oct 11; Nov 8; Dec 13 | 1998 Jan 10; Feb 7; Mar 7; Apr 11; May 9; Jun 13",
    ),
    (
        "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8",
        datetime(1996, 11, 5, 9),
        "1996 Nov 5 | 2000 Nov 7 | 2004 Nov 2",
    ),
    (
        "FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3",
        datetime(1997, 9, 4, 9),
        "1997 Sep 4; Oct 7; Nov 6",
    ),
    (
        "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2",
        datetime(1997, 9, 29, 9),
        "1997 Sep 29; Oct 30; Nov 27; Dec 30 | 1998 Jan 29; Feb 26; Mar 30",
    ),
    (
        "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO",
        datetime(1997, 8, 5, 9),
        "1997 Aug 5,10,19,24",
    ),
    (
        "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU",
        datetime(1997, 8, 5, 9),
        "1997 Aug 5,17,19,31",
    ),
    (
        "FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=5",
        datetime(2007, 1, 15, 9),
        "2007 Jan 15,30; Feb 15; Mar 15,30",
    ),
]


@pytest.mark.parametrize(("rule", "first", "printed"), EXAMPLES, ids=[e[0] for e in EXAMPLES])
def test_the_rfcs_examples_take_place_when_it_says(
    rule: str, first: datetime, printed: str
) -> None:
    expected = days(printed)
    assert starts(rule, first, len(expected)) == expected
    if "COUNT" in rule or "UNTIL" in rule:
        assert len(starts(rule, first)) == len(expected)


def test_several_hours_and_minutes_make_several_times_a_day() -> None:
    # RFC 5545: "Every 20 minutes from 9:00 AM to 4:40 PM every day", its form with FREQ=DAILY.
    found = starts("FREQ=DAILY;BYHOUR=9,10,11,12,13,14,15,16;BYMINUTE=0,20,40", FIRST, 25)
    assert found[:4] == [FIRST + timedelta(minutes=20 * n) for n in range(4)]
    assert found[23] == datetime(1997, 9, 2, 16, 40)
    assert found[24] == datetime(1997, 9, 3, 9)


def test_an_until_in_utc_is_read_in_the_zone_of_the_event() -> None:
    # 03:30 UTC is 23:30 of the day before in New York.
    found = starts("FREQ=DAILY;UNTIL=20260602T033000Z", datetime(2026, 6, 1, 23, 30))
    assert found == [datetime(2026, 6, 1, 23, 30)]


def test_an_until_that_is_a_date_includes_that_day() -> None:
    assert len(starts("FREQ=DAILY;UNTIL=20260603", datetime(2026, 6, 1, 23))) == 3


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("FREQ=SECONDLY", "too often"),
        ("FREQ=HOURLY;BYHOUR=1", "too often"),
        ("BYDAY=MO", "expected FREQ="),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL=0"),
        ("FREQ=DAILY;COUNT=1000000000", "COUNT=1000000000"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20270101", "keep one of them"),
        ("FREQ=MONTHLY;BYMONTH=13", "BYMONTH=13"),
        ("FREQ=WEEKLY;BYDAY=1MO", "1MO"),
        ("FREQ=MONTHLY;BYWEEKNO=3", "YEARLY"),
        ("FREQ=YEARLY;RSCALE=CHINESE", "RSCALE"),
        (
            "FREQ=DAILY;BYHOUR="
            + ",".join(map(str, range(24)))
            + ";BYMINUTE=1,2,3,4,5,6,7,8,9,10,11,12,13",
            "312",
        ),
        # What dateutil would look for until the year 9999.
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "never"),
        ("FREQ=DAILY;INTERVAL=7;BYDAY=WE", "never"),
        ("FREQ=YEARLY;INTERVAL=2;BYMONTH=2;BYMONTHDAY=29", "never"),
    ],
)
def test_what_cannot_be_is_refused_and_says_why(rule: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse(rule, FIRST)


def test_a_rule_of_long_ago_costs_no_more_than_the_days_asked_for() -> None:
    first = datetime(1970, 1, 1, 3)
    rule = parse("FREQ=DAILY;INTERVAL=3", first)
    found = list(rule.starts(first, datetime(2099, 1, 1), datetime(2099, 1, 10)))
    # From 1970 to 2098 there are 129 years, 32 of them leap years (1972 to 2096): 2099-01-01 is day
    # 129 * 365 + 32 = 47117, and 47118 is the next that 3 divides.
    assert found == [datetime(2099, 1, 2, 3), datetime(2099, 1, 5, 3), datetime(2099, 1, 8, 3)]


weekdays = st.sampled_from(["MO", "TU", "WE", "TH", "FR", "SA", "SU"])


def some(values: st.SearchStrategy[object]) -> st.SearchStrategy[str]:
    return st.lists(values, min_size=1, max_size=3, unique=True).map(
        lambda found: ",".join(str(each) for each in found)
    )


@st.composite
def rules(draw: st.DrawFn) -> str:
    frequency = draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]))
    parts = {"FREQ": frequency, "INTERVAL": str(draw(st.integers(1, 4)))}
    known = {
        "BYMONTH": some(st.integers(1, 12)),
        "BYMONTHDAY": some(st.integers(-31, 31).filter(bool)),
        "BYDAY": some(weekdays),
        "WKST": weekdays,
        "BYHOUR": some(st.integers(0, 23)),
    }
    if frequency == "YEARLY":
        known["BYYEARDAY"] = some(st.integers(-366, 366).filter(bool))
        known["BYWEEKNO"] = some(st.integers(-53, 53).filter(bool))
    if frequency in {"MONTHLY", "YEARLY"}:
        known["BYSETPOS"] = some(st.integers(-5, 5).filter(bool))
    for name in draw(st.sets(st.sampled_from(sorted(known)), max_size=3)):
        parts[name] = draw(known[name])
    if frequency in {"MONTHLY", "YEARLY"} and "BYWEEKNO" not in parts and draw(st.booleans()):
        parts["BYDAY"] = draw(st.integers(-4, 4).filter(bool).map(str)) + draw(weekdays)
    return ";".join(f"{name}={value}" for name, value in parts.items())


@given(rules(), st.datetimes(datetime(1998, 1, 1), datetime(2030, 1, 1)), st.integers(0, 1500))
def test_any_rule_takes_place_when_dateutil_says(rule: str, first: datetime, after: int) -> None:
    first = first.replace(microsecond=0)
    assume("BYSETPOS" not in rule or "BYDAY" in rule or "BYMONTHDAY" in rule)
    try:
        ours = parse(rule, first)
    except ValueError:
        assume(False)
    since = first + timedelta(days=after)
    until = since + timedelta(days=800)
    theirs = rrulestr(rule, dtstart=first)
    expected = []
    for start in theirs:
        if start > until:
            break
        if start >= since:
            expected.append(start)
    assert list(ours.starts(first, since, until)) == expected
