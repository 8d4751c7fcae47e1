"""Calendars: windows, business hours, rotations and service levels, as functions of time."""

from forewarn_collector.calendars.dependencies import Dependency, causes, cycle_in
from forewarn_collector.calendars.files import CalendarFile
from forewarn_collector.calendars.hours import BusinessHours, Holidays, Hours
from forewarn_collector.calendars.ics import CalendarError, read_ics
from forewarn_collector.calendars.levels import NEXT, ServiceLevel, StepFrom, StepSpec
from forewarn_collector.calendars.recurrence import Recurrence, parse_recurrence
from forewarn_collector.calendars.rotation import (
    OnCallCalendar,
    Rotation,
    Shift,
    Turns,
    next_in,
    shifts,
)
from forewarn_collector.calendars.spans import LONGEST, Agenda, Event, Length, Span, joined
from forewarn_collector.calendars.watch import CalendarWatch
from forewarn_collector.calendars.windows import Window
from forewarn_collector.calendars.zones import Zone, instant, midnight, wall, written, zone_of

__all__ = [
    "LONGEST",
    "NEXT",
    "Agenda",
    "BusinessHours",
    "CalendarError",
    "CalendarFile",
    "CalendarWatch",
    "Dependency",
    "Event",
    "Holidays",
    "Hours",
    "Length",
    "OnCallCalendar",
    "Recurrence",
    "Rotation",
    "ServiceLevel",
    "Shift",
    "Span",
    "StepFrom",
    "StepSpec",
    "Turns",
    "Window",
    "Zone",
    "causes",
    "cycle_in",
    "instant",
    "joined",
    "midnight",
    "next_in",
    "parse_recurrence",
    "read_ics",
    "shifts",
    "wall",
    "written",
    "zone_of",
]
