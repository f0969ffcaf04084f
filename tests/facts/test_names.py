"""The tables of names keep their spelling and their relations."""

from wsgix.facts import names


def test_field_names_stand_in_lower_case():
    for table in (
        names.HOP_BY_HOP,
        names.CONNECTION_FIELDS,
        names.UNPREFIXED,
        names.SINGLETON_FIELDS,
        names.DROPPED_FIELDS,
        names.TRAILER_FORBIDDEN_FIELDS,
        names.LIST_SEPARATORS,
        names.SECRET_RESPONSE_FIELDS,
    ):
        assert all(name == name.lower() for name in table)


def test_cgi_variables_stand_in_upper_case():
    keys = {*names.UNPREFIXED.values(), *names.TRANSCODED_VARIABLES, *names.TRANSCODED_PREFIXES}
    assert all(key == key.upper() for key in keys)


def test_what_frames_or_routes_a_message_is_in_no_trailer():
    assert names.SINGLETON_FIELDS | {"transfer-encoding", "authorization"} <= names.TRAILER_FORBIDDEN_FIELDS


def test_the_stricter_set_of_connection_fields_holds_the_classic_one():
    assert names.HOP_BY_HOP | {"proxy-connection", "trailer"} == names.CONNECTION_FIELDS
