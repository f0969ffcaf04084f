"""What all tests share: Hypothesis draws the same examples every time, keeps no file and knows no clock."""

from hypothesis import settings

settings.register_profile("wsgix", derandomize=True, deadline=None, database=None)
settings.load_profile("wsgix")
