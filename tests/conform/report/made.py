"""Rules made for the tests of reports, and judgements of them."""

from wsgix.conform.rule import (
    Judgement,
    Level,
    Profile,
    Rule,
    Side,
    Source,
)

HOSTILE = b"<script>alert(1)</script>\x1b[31m\x00\xff"


def make_rule(id, slug, level, binds=Side.SERVER, **more):
    return Rule(
        **{
            "id": id,
            "slug": slug,
            "level": level,
            "binds": binds,
            "source": Source(
                "PEP 3333", "Error Handling", "https://peps.python.org/pep-3333/#error-handling"
            ),
            "says": f"What {slug} says.",
            "why": f"Why {slug} <matters> & how.",
            "quote": f"words of {slug}",
            **more,
        }
    )


RULES = {
    rule.id: rule
    for rule in (
        make_rule("H3", "status-has-reason", Level.MUST, Side.APPLICATION),
        make_rule("B2", "few-blocks", Level.SHOULD_NOT, Side.APPLICATION),
        make_rule("E10", "no-empty-variables", Level.SHOULD),
        make_rule("E2", "environ-is-a-dict", Level.MUST),
        make_rule("R1", "head-waits-for-content", Level.MUST_NOT),
        make_rule("C4", "close-runs-once", Level.MUST),
        make_rule("X1", "input-terminated", Level.DE_FACTO, profiles=frozenset({Profile.DE_FACTO})),
        make_rule("X2", "file-wrapper", Level.MAY),
    )
}


def judge(id, verdict, **more):
    return Judgement(RULES[id], verdict, **more)
