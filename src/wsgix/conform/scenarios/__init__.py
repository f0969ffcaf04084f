"""The battery: every scenario, in the order in which `conform.drive` plays them.

A scenario is a function of a `Stage` that yields judgements on the rules whose observer it is; the rules that
the watch observes are judged in every call of every scenario. The functions stand in the modules beside this
one, by subject; here is the table only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wsgix.conform.rule import Means
from wsgix.conform.rules import all_rules
from wsgix.conform.scenarios import contents, endings, environs, methods, repeats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from wsgix.conform.rule import Judgement, Rule
    from wsgix.conform.stage import Stage


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario of the battery.

    Attributes:
        name: what findings call it; what observers call it is the part before a slash.
        says: what it does, in a sentence.
        function: what plays it.
        hang_breaks: the IDs of the rules that an application breaks by never coming to an end in it.
    """

    name: str
    says: str
    function: Callable[[Stage], Iterable[Judgement]]
    hang_breaks: frozenset[str] = frozenset()

    def rules(self) -> list[Rule]:
        """List the rules that it observes."""
        return [
            rule
            for rule in all_rules()
            if any(
                observer.means is Means.DRIVE and observer.point == self.name.partition("/")[0]
                for observer in rule.observers
            )
        ]


SCENARIOS: Final = (
    Scenario("plain", "GET of each path, three times.", repeats.plain),
    Scenario(
        "methods",
        "HEAD, POST, PUT, PATCH, DELETE, OPTIONS and a method that nobody knows; a query; POST with a form, "
        "with JSON that is none, and with no content.",
        methods.methods,
    ),
    Scenario("head", "HEAD between two GETs: the same head, but for what changes by itself.", methods.head),
    Scenario(
        "odd-paths",
        "PATH_INFO with two slashes, with a slash or a percent sign that was encoded, with spaces, control "
        "characters, UTF-8, and bytes that are no UTF-8.",
        environs.odd_paths,
    ),
    Scenario(
        "absent-variables",
        "Each variable that may be absent left out in turn, then all of them.",
        environs.absent_variables,
    ),
    Scenario("empty-variables", "Each variable that may be empty, empty in turn.", environs.empty_variables),
    Scenario(
        "hop-by-hop",
        "Connection, Keep-Alive, TE, Upgrade and their like in the request, between two requests without.",
        environs.hop_by_hop,
    ),
    Scenario("file-wrapper", "GET of each path, with an eye on wsgi.file_wrapper.", endings.file_wrapper),
    Scenario(
        "kinds-of-start-response",
        "start_response given as a function, a method, a partial and an instance.",
        endings.kinds_of_start_response,
    ),
    Scenario("interleaved", "Two calls that take their steps in turn.", repeats.interleaved),
    Scenario("concurrent", "The same request in four threads at a time.", repeats.concurrent),
    Scenario(
        "closed-early",
        "close() after no block, after one, and after all but the end; then the same request again.",
        endings.closed_early,
        hang_breaks=frozenset({"A12"}),
    ),
    Scenario("start-fails", "start_response() that raises, each time it is called.", endings.start_fails),
    Scenario("write-fails", "write() that raises.", endings.write_fails),
    Scenario(
        "input-short",
        "Less content than was declared.",
        contents.short,
        hang_breaks=frozenset({"I11"}),
    ),
    Scenario("input-long", "More content than was declared.", contents.long),
    Scenario("input-fails", "A wsgi.input that raises when it is read.", contents.failing),
    Scenario(
        "changed-headers",
        "The list of headers changed, as a server may, then the same request again.",
        endings.changed_headers,
    ),
)
"""The first one is what the others build on: where it hangs or the application can be called once only,
nothing more can be found out."""
