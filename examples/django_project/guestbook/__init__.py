"""A guest book: visitors leave entries, the admin tidies them up."""
