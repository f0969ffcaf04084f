"""How the admin shows the guest book."""

from django.contrib import admin

from guestbook.models import Entry


@admin.register(Entry)
class EntryAdmin(admin.ModelAdmin):
    list_display = ["name", "message", "written"]
    list_filter = ["written"]
    search_fields = ["name", "message"]
