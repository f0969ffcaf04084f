"""CGI (RFC 3875): a process environment is the request, a `Status` line heads the response.

Pure functions; reading `os.environ` and the standard streams is the caller's part.
"""

from collections.abc import Mapping

from wsgix.facts.names import REDIRECT_PREFIX, TRANSCODED_PREFIXES, TRANSCODED_VARIABLES


def is_request_variable(name: str) -> bool:
    """Tell whether the bytes of the variable *name* come from the request."""
    while name.startswith(REDIRECT_PREFIX):
        name = name[len(REDIRECT_PREFIX) :]
    return name in TRANSCODED_VARIABLES or name.startswith(TRANSCODED_PREFIXES)


def transcode(variables: Mapping[str, str], *, encoding: str, platform: str) -> dict[str, str]:
    """Return *variables* with those of the request as PEP 3333 wants them: bytes as latin-1.

    Args:
        variables: a process environment, as `os.environ` decodes it.
        encoding: the encoding it was decoded with, as `sys.getfilesystemencoding()` tells.
        platform: as `sys.platform` tells. Windows keeps environments as Unicode, so that what
            the web server made of the request's bytes depends on the web server.
    """
    errors = "surrogateescape"
    if platform == "win32":
        software = variables.get("SERVER_SOFTWARE", "").lower()
        if software.startswith("apache/"):
            return dict(variables)  # Apache stores each byte as one character already.
        errors = "replace"
        if software.startswith("microsoft-iis/") or (
            software.startswith("simplehttp/") and "python/3" in software
        ):
            encoding = "utf-8"
    return {
        name: value.encode(encoding, errors).decode("latin-1") if is_request_variable(name) else value
        for name, value in variables.items()
    }


def strip_script_name(script_name: str, path_info: str) -> str:
    """Return *path_info* without the *script_name* that IIS repeats at its front."""
    if f"{path_info}/".startswith(f"{script_name}/"):
        return path_info[len(script_name) :]
    return path_info
