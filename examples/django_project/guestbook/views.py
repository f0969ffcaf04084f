"""The one page of the guest book: its entries, and a form to add one."""

from django.forms import modelform_factory
from django.shortcuts import redirect, render

from guestbook.models import Entry

EntryForm = modelform_factory(Entry, fields=["name", "message"])


def index(request):
    form = EntryForm(request.POST or None)
    if form.is_valid():
        form.save()
        return redirect("index")
    return render(
        request,
        "guestbook/index.html",
        {"form": form, "entries": Entry.objects.all()[:50]},
        status=422 if form.is_bound else 200,
    )
