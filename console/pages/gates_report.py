"""What a run leaves to take away: its report in four forms, signed evidence, and its samples, one line per request."""

from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path
from django.views.decorators.http import require_GET

from console.pages.gates_data import attempts
from gates import outputs
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
    answer = HttpResponse(outputs.render(found, name), content_type=kind)
    if form == "html":
        answer["Content-Security-Policy"] = REPORT_POLICY
    else:
        ending = "evidence.json" if form == "evidence" else form
        answer["Content-Disposition"] = f'attachment; filename="gate-{run}.{ending}"'
    return answer


@require_GET
def samples(request: HttpRequest, run: int) -> StreamingHttpResponse:
    """Of the attempts that count, phase by phase; also of a run that still runs or was aborted."""
    found = get_object_or_404(GateRun.objects.select_related("policy"), pk=run)
    lines = (to_lines(samples_of([row])) for row in attempts(found))
    answer = StreamingHttpResponse(lines, content_type="application/jsonl")
    answer["Content-Disposition"] = f'attachment; filename="gate-{run}-samples.jsonl"'
    return answer


urlpatterns: list[URLPattern] = [
    path("gates/<int:run>/report.<str:form>", report, name="gate-report"),
    path("gates/<int:run>/samples.jsonl", samples, name="gate-samples"),
]
