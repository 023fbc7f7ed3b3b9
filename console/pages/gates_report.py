"""What a run leaves to take away: its report in four forms, signed evidence, and its samples, one line per request."""

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from django.views.decorators.http import require_GET

from console.pages.gates_data import attempts
from gates import outputs, thinning
from gates.load.samples import to_lines
from gates.models import GateRun
from gates.records import samples_of
from gates.runs import VERDICTS

# Ending of the address → name of the form in gates.outputs, and its type.
FORMS = {
    "html": ("html", "text/html; charset=utf-8"),
    "json": ("json", "application/json"),
    "md": ("markdown", "text/markdown; charset=utf-8"),
    "xml": ("junit", "application/xml"),
    "evidence": ("evidence", "application/json"),
}
# The report is one self-contained page: its own styles and pictures, nothing that runs.
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"


@require_GET
def report(request: HttpRequest, run: int, form: str) -> HttpResponse:
    """HTML opens, the others are saved. Only a run that has ended has a report."""
    found = get_object_or_404(GateRun.objects.select_related("policy", "baseline"), pk=run)
    if form not in FORMS or found.state not in VERDICTS:
        raise Http404(f"Gate run {run} has no report of that kind (yet).")
    name, kind = FORMS[form]
    try:
        answer = HttpResponse(outputs.render(found, name), content_type=kind)
    except thinning.Gone as gone:
        return deleted(found, gone)
    if form == "html":
        answer["Content-Security-Policy"] = REPORT_POLICY
    else:
        ending = "evidence.json" if form == "evidence" else form
        answer["Content-Disposition"] = f'attachment; filename="gate-{run}.{ending}"'
    return answer


@require_GET
def samples(request: HttpRequest, run: int) -> HttpResponseBase:
    """Of the attempts that count, phase by phase; also of a run that still runs or was aborted."""
    found = get_object_or_404(GateRun.objects.select_related("policy"), pk=run)
    try:
        thinning.require(found)
    except thinning.Gone as gone:
        return deleted(found, gone)
    lines = (to_lines(samples_of([row])) for row in attempts(found))
    answer = StreamingHttpResponse(lines, content_type="application/jsonl")
    answer["Content-Disposition"] = f'attachment; filename="gate-{run}-samples.jsonl"'
    return answer


def deleted(run: GateRun, gone: thinning.Gone) -> HttpResponse:
    """410, and what is left to take away."""
    judged = run.judgement
    left = " What is left: report.md, report.xml, report.evidence and the page of the run." if judged else ""
    found = f" It was judged {judged['verdict']}: {judged['reason']}" if judged else ""
    return HttpResponse(f"{gone}{found}{left}\n", status=410, content_type="text/plain; charset=utf-8")


urlpatterns: list[URLPattern] = [
    path("gates/<int:run>/report.<str:form>", report, name="gate-report"),
    path("gates/<int:run>/samples.jsonl", samples, name="gate-samples"),
]
