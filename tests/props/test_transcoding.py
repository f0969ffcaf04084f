"""Whatever bytes a request brings through a process environment, the application gets those bytes."""

from hypothesis import given
from hypothesis import strategies as st

from wsgix.wire.cgi import is_request_variable, strip_script_name, transcode

request_names = st.sampled_from(
    ["PATH_INFO", "QUERY_STRING", "HTTP_COOKIE", "SSL_CLIENT_S_DN", "REMOTE_USER"]
)
prefixes = st.integers(0, 3).map("REDIRECT_".__mul__)
posix_encodings = st.sampled_from(["utf-8", "ascii", "latin-1", "iso8859-15", "euc-jp"])
latin_1 = st.text(st.characters(max_codepoint=255))


@given(request_names, prefixes, st.binary(), posix_encodings)
def test_bytes_go_round_through_any_locale(name, prefix, content, encoding):
    value = content.decode(encoding, "surrogateescape")
    if value.encode(encoding, "surrogateescape") != content:
        return  # a stateful or ambiguous decoding, which loses bytes before they are ours

    result = transcode({prefix + name: value}, encoding=encoding, platform="linux")

    assert result[prefix + name].encode("latin-1") == content


@given(st.dictionaries(st.text(), st.text(st.characters(exclude_categories=["Cs"]))), posix_encodings)
def test_names_and_all_other_values_stay(variables, encoding):
    variables = {name: value for name, value in variables.items() if not is_request_variable(name)}

    assert transcode(variables, encoding=encoding, platform="linux") == variables


@given(
    st.sampled_from(["Apache/2.4", "Microsoft-IIS/10.0", "SimpleHTTP/0.6 Python/3.12", "other"]), st.text()
)
def test_on_windows_every_value_becomes_latin_1(software, value):
    if software.startswith("Apache/"):
        value = value.encode("utf-8", "replace").decode("latin-1")  # its own doing

    result = transcode({"SERVER_SOFTWARE": software, "PATH_INFO": value}, encoding="cp1252", platform="win32")

    result["PATH_INFO"].encode("latin-1")


@given(latin_1, latin_1)
def test_only_a_whole_leading_script_name_is_taken_off(script_name, path_info):
    assert strip_script_name(script_name, f"{script_name}/{path_info}") == f"/{path_info}"
    stripped = strip_script_name(script_name, path_info)
    assert stripped == path_info or script_name + stripped == path_info
