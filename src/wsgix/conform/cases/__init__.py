"""What the probe asks of servers: one module for each chapter of server rules.

A case is a function that gets a `probe_case.Client`, asks through the probe application, and returns or
raises what it came to. It names the rule that it observes by its ID; `conform.rules` holds the rules and
attaches the cases to them. Nothing here runs a case.
"""
