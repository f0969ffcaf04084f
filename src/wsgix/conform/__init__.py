"""The referee: judges applications, middleware and servers by PEP 3333. It shares only `facts` with them."""
