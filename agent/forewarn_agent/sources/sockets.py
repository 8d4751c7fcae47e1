"""Sockets in use and the network stack's counters, from /proc/net.

Names: node_exporter's collectors `sockstat` and `netstat` (its default fields).
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from forewarn_agent.sources.base import SourceContext
from forewarn_agent.sources.procfs import FileSource, Line, Plan, Value

_NETSTAT_FIELDS = re.compile(
    r"(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)"
    r"|TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts)"
    r"|Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)"
    r"|Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))"
)


def plan_sockstat(lines: Sequence[Line], context: SourceContext) -> Plan:
    """The plan of /proc/net/sockstat: `TCP: inuse 4 mem 342`; `mem` counts pages."""
    fixed = []
    values = []
    for start, words in lines:
        protocol = words[0].decode().rstrip(":")
        fixed.append(start)
        for place in range(1, len(words) - 1, 2):
            metric = f"node_sockstat_{protocol}_{words[place].decode()}"
            fixed.append(start + place)
            values.append(Value(start + place + 1, context.series(metric)))
            if words[place] == b"mem":
                in_bytes = context.series(f"{metric}_bytes")
                page = os.sysconf("SC_PAGE_SIZE")
                values.append(Value(start + place + 1, in_bytes, 1 / page))
    return Plan(fixed, values)


def plan_netstat(lines: Sequence[Line], context: SourceContext) -> Plan:
    """The plan of /proc/net/netstat and snmp: a line of names, then a line of their numbers."""
    fixed = []
    values = []
    for names, numbers in zip(lines[::2], lines[1::2], strict=True):
        protocol = names.words[0].decode().rstrip(":")
        for place, name in enumerate(names.words[1:], 1):
            key = f"{protocol}_{name.decode()}"
            if _NETSTAT_FIELDS.fullmatch(key):
                fixed.append(names.start + place)
                values.append(Value(numbers.start + place, context.series(f"node_netstat_{key}")))
    return Plan(fixed, values)


def plan_snmp6(lines: Sequence[Line], context: SourceContext) -> Plan:
    """The plan of /proc/net/snmp6: `Ip6InOctets 12` is `node_netstat_Ip6_InOctets`."""
    fixed = []
    values = []
    for start, words in lines:
        protocol, six, name = words[0].decode().partition("6")
        key = f"{protocol}{six}_{name}"
        if _NETSTAT_FIELDS.fullmatch(key):
            fixed.append(start)
            values.append(Value(start + 1, context.series(f"node_netstat_{key}")))
    return Plan(fixed, values)


def sockstat_source(context: SourceContext, proc: str = "/proc") -> FileSource:
    """The source of `node_sockstat_*`."""
    files = [
        (f"{proc}/net/sockstat", plan_sockstat),
        (f"{proc}/net/sockstat6", plan_sockstat),
    ]
    return FileSource("sockstat", context, files)


def netstat_source(context: SourceContext, proc: str = "/proc") -> FileSource:
    """The source of `node_netstat_*`."""
    files = [
        (f"{proc}/net/netstat", plan_netstat),
        (f"{proc}/net/snmp", plan_netstat),
        (f"{proc}/net/snmp6", plan_snmp6),
    ]
    return FileSource("netstat", context, files)
