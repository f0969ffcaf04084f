"""Byte classes of HTTP, each below the ABNF that it spells. Tables only; everyone may read them.

The strings hold characters of the code points 0 to 255: PEP 3333 carries bytes as latin-1.
"""

from typing import Final

# ALPHA = %x41-5A / %x61-7A                                                     RFC 5234, B.1
ALPHA: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

# DIGIT = %x30-39; HEXDIG = DIGIT / "A" / ... / "F", in either case             RFC 5234, B.1
DIGIT: Final = "0123456789"
HEXDIG: Final = DIGIT + "ABCDEFabcdef"

# tchar = "!" / "#" / "$" / "%" / "&" / "'" / "*" / "+" / "-" / "." / "^" / "_"
#       / "`" / "|" / "~" / DIGIT / ALPHA; token = 1*tchar                      RFC 9110, 5.6.2
TCHAR: Final = "!#$%&'*+-.^_`|~" + DIGIT + ALPHA

# OWS = *( SP / HTAB ): the only white space that HTTP knows                    RFC 9110, 5.6.3
OWS: Final = " \t"

# CTL = %x00-1F / %x7F                                                          RFC 5234, B.1
CTL: Final = "".join(map(chr, range(0x20))) + "\x7f"

# field-vchar = VCHAR / obs-text, with SP and HTAB between: all but CTL, HTAB allowed
#                                                                               RFC 9110, 5.5
FORBIDDEN_IN_VALUE: Final = CTL.replace("\t", "")

# quoted-string = DQUOTE *( qdtext / quoted-pair ) DQUOTE
# qdtext = HTAB / SP / %x21 / %x23-5B / %x5D-7E / obs-text
# quoted-pair = "\" ( HTAB / SP / VCHAR / obs-text )                            RFC 9110, 5.6.4
QUOTABLE: Final = "\t" + "".join(map(chr, [*range(0x20, 0x7F), *range(0x80, 0x100)]))
QDTEXT: Final = QUOTABLE.replace('"', "").replace("\\", "")

# unreserved = ALPHA / DIGIT / "-" / "." / "_" / "~"                            RFC 3986, 2.3
UNRESERVED: Final = ALPHA + DIGIT + "-._~"

# sub-delims = "!" / "$" / "&" / "'" / "(" / ")" / "*" / "+" / "," / ";" / "="  RFC 3986, 2.2
SUB_DELIMS: Final = "!$&'()*+,;="

# absolute-path = 1*( "/" segment ); segment = *pchar                           RFC 9110, 4.1
# pchar = unreserved / pct-encoded / sub-delims / ":" / "@"                     RFC 3986, 3.3
# The percent sign is left out: it must start a pct-encoded triplet. The square brackets are added:
# every browser sends them as they are (WHATWG URL, path percent-encode set), and they delimit nothing here.
PATH_CHARACTERS: Final = UNRESERVED + SUB_DELIMS + ":@/[]"

# query = *( pchar / "/" / "?" )                                                RFC 3986, 3.4
# Added are what browsers leave as it is (WHATWG URL, query percent-encode set) and a percent sign
# anywhere: nothing here decodes a query, so that no reading of it can differ from the application's.
QUERY_CHARACTERS: Final = PATH_CHARACTERS + "?%\\^`{|}"
