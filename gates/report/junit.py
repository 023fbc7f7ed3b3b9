"""A report as JUnit XML: a suite per phase, a case per objective. Only what passed is green."""

from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree as Xml

KINDS = {"failed": ("failure", "slo"), "invalid": ("error", "invalid"), "inconclusive": ("error", "inconclusive")}


def render(document: Mapping[str, Any]) -> str:
    root = Xml.Element("testsuites", name=f"gate {document['policy']['name']} on {document['candidate']['target']}")
    for phase in document["phases"]:
        rows = [row for row in document["objectives"] if row["phase"] == phase["phase"]]
        _suite(root, phase, rows, lost=document["verdict"] == "failed")
    if document["verdict"] in ("errored", "cancelled", "invalid"):
        _whole(root, document)
    for name in ("tests", "failures", "errors", "skipped"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    Xml.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{Xml.tostring(root, encoding="unicode")}\n'


def _suite(root: Xml.Element, phase: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], *, lost: bool) -> None:
    """What a failure left open, in its phase or in phases not run because of it, is skipped."""
    skip = lost and phase["extent"] in ("curtailed", "not run")
    seconds = f"{phase['load_seconds'] or 0:.3f}"
    suite = Xml.SubElement(root, "testsuite", name=phase["phase"], time=seconds)
    for row in rows:
        case = Xml.SubElement(
            suite, "testcase", classname=f"gate.{row['phase']}", name=f"{row['objective']} {row['scope']}", time="0"
        )
        _properties(case, row)
        _result(case, row, skip=skip)
    _count(suite)


def _properties(case: Xml.Element, row: Mapping[str, Any]) -> None:
    properties = Xml.SubElement(case, "properties")
    for name in ("value", "limit", "n", "exceedances", "grade"):
        Xml.SubElement(properties, "property", name=name, value="" if row[name] is None else str(row[name]))


def _result(case: Xml.Element, row: Mapping[str, Any], *, skip: bool) -> None:
    if row["verdict"] == "inconclusive" and skip:
        Xml.SubElement(case, "skipped", message=_clean(row["sentence"]))
    elif row["verdict"] in KINDS:
        tag, kind = KINDS[row["verdict"]]
        told = Xml.SubElement(case, tag, type=kind, message=_clean(row["sentence"]))
        told.text = _clean(row["what_would_change"])


def _whole(root: Xml.Element, document: Mapping[str, Any]) -> None:
    """A run that was cancelled, broke or is invalid says so itself, whatever its objectives say."""
    suite = Xml.SubElement(root, "testsuite", name="run", time="0")
    case = Xml.SubElement(suite, "testcase", classname="gate.run", name="verdict", time="0")
    Xml.SubElement(case, "error", type=document["verdict"], message=_clean(document["reason"]))
    _count(suite)


def _count(suite: Xml.Element) -> None:
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(name, str(sum(case.find(tag) is not None for case in cases)))


def _clean(text: str) -> str:
    """XML has no way to write control characters."""
    return "".join(sign for sign in text if sign >= " " or sign in "\t\n")
