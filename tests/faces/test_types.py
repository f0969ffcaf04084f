"""`wsgix.types`: the names, and what a type checker is told by them."""

import inspect
import io
import typing
from collections.abc import Callable, Iterable

import pytest

from wsgix import types

PROTOCOLS = [types.StartResponse, types.InputStream, types.ErrorStream, types.FileWrapper, types._Readable]


def test_the_names_are_the_standard_library_s():
    assert sorted(types.__all__) == [
        "ErrorStream",
        "FileWrapper",
        "InputStream",
        "StartResponse",
        "WSGIApplication",
        "WSGIEnvironment",
    ]


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.__name__)
def test_a_protocol_describes_and_cannot_be_made(protocol):
    assert protocol._is_protocol
    with pytest.raises(TypeError):
        protocol()


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.__name__)
def test_isinstance_is_refused_because_only_a_type_checker_can_tell(protocol):
    with pytest.raises(TypeError):
        isinstance(io.BytesIO(), protocol)


def test_an_environ_is_a_dict_and_an_application_a_callable():
    assert types.WSGIEnvironment == dict[str, typing.Any]
    assert typing.get_origin(types.WSGIApplication) is Callable
    assert typing.get_args(types.WSGIApplication) == (
        [dict[str, typing.Any], types.StartResponse],
        Iterable[bytes],
    )


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        (types.StartResponse.__call__, ["status", "headers", "exc_info"]),
        (types.InputStream.read, ["size"]),
        (types.InputStream.readline, ["size"]),
        (types.InputStream.readlines, ["hint"]),
        (types.InputStream.__iter__, []),
        (types.ErrorStream.flush, []),
        (types.ErrorStream.write, ["s"]),
        (types.ErrorStream.writelines, ["seq"]),
        (types._Readable.read, ["size"]),
        (types.FileWrapper.__call__, ["file", "block_size"]),
    ],
)
def test_arguments_are_positional_only_as_pep_3333_calls_them(method, parameters):
    signature = inspect.signature(method)
    given = [one for one in signature.parameters.values() if one.name != "self"]
    assert [one.name for one in given] == parameters
    assert all(one.kind is one.POSITIONAL_ONLY for one in given)


def test_the_protocols_are_hollow():
    """Their bodies do nothing, so that a class may inherit from one to say what it is."""

    class Silent(types.StartResponse, types.InputStream, types.ErrorStream, types.FileWrapper):
        def __call__(self, *arguments):
            return super().__call__(*arguments)

    silent = Silent()
    assert silent("200 OK", []) is None
    assert [silent.read(), silent.readline(), silent.readlines(), silent.__iter__()] == [None] * 4
    assert [silent.flush(), silent.write(""), silent.writelines([])] == [None] * 3
