"""HTTP mode: whole responses kept by a cache, by the rules of RFC 9110, 9111 and 9211.

What is decided is pure and shared by ASGI and WSGI. Nothing here is imported before `cache.http`
is used, and no framework is imported at all unless the program has imported it.
"""
