"""`migrate-check` finds other caches in source code, and says what to write instead."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from dualcache.cli.exits import DONE, NOT_SO
from dualcache.cli.main import main
from dualcache.cli.migration.finding import PAGE, Finding, check, sources
from dualcache.cli.migration.names import RETURNS, RULES
from dualcache.cli.migration.rules import KEEP, LIBRARIES, Library
from tests.docs.pages import ROOT, blocks_of

if TYPE_CHECKING:
    from pathlib import Path


def found_in(folder: Path, modules: dict[str, str]) -> list[Finding]:
    """Check a code base of these modules, by their paths."""
    for name, text in modules.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    findings, unreadable = check(folder)
    assert unreadable == []
    return findings


def replacements(folder: Path, source: str) -> list[str]:
    return [each.write for each in found_in(folder, {"module.py": source})]


@pytest.mark.parametrize(
    ("source", "write"),
    [
        ("from functools import lru_cache\n@lru_cache\ndef f(x): ...", "@cache"),
        ("import functools as ft\n@ft.lru_cache(maxsize=9)\ndef f(x): ...", "@cache"),
        (
            (
                "from cachetools import cached, TTLCache\n"
                "@cached(TTLCache(maxsize=9, ttl=600), lock=Lock())\ndef f(x): ..."
            ),
            "@cache(ttl=600)",
        ),
        (
            "import cachetools\n@cachetools.cached(cachetools.TTLCache(9, 60))\ndef f(x): ...",
            "@cache(ttl=60)",
        ),
        ("import cachetools\n@cachetools.cached(cache=LRUCache(9))\ndef f(x): ...", "@cache"),
        ("import cachetools\n@cachetools.cached({})\ndef f(x): ...", "@cache(ttl=None)"),
        ("import cachetools\n@cachetools.cached(kept)\ndef f(x): ...", "@cache(ttl=…)"),
        (
            (
                "from fastapi_cache.decorator import cache\n"
                "@app.get('/')\n@cache(expire=60, namespace='items')\nasync def f(): ..."
            ),
            "@cache(ttl=60, key_prefix='items')",
        ),
        (
            (
                "from cashews import cache\n@cache(ttl='10m', key='user:{x}', tags=['t'])\n"
                "async def f(x): ..."
            ),
            "@cache(ttl='10m', key='user:{x}', tags=['t'])",
        ),
        (
            "from cashews import cache\n@cache.failover(ttl='1h')\nasync def f(x): ...",
            "@cache(stale_if_error='1h')",
        ),
        (
            (
                "from cashews import cache\n"
                "@cache.failover('1h', Exception, 'f:{x}')\nasync def f(x): ..."
            ),
            "@cache(stale_if_error='1h', key='f:{x}')",
        ),
        (
            "from cashews import cache\n@cache.hit('1h', 100, 2, 'h:{x}')\nasync def f(x): ...",
            "@cache(ttl='1h', key='h:{x}')",
        ),
        (
            "from cashews import cache\n@cache.soft(ttl=60, soft_ttl=9)\nasync def f(x): ...",
            "@cache(ttl=9)",
        ),
        ("from cashews import Cache\nmine = Cache()", 'Cache("redis://…")'),
        (
            "from cashews import Cache\nmine = Cache()\n@mine(ttl=5)\nasync def f(x): ...",
            "@cache(ttl=5)",
        ),
        (
            "from aiocache import cached\n@cached(ttl=5, key='all')\nasync def f(): ...",
            "@cache(ttl=5, key='all')",
        ),
        (
            (
                "from flask_caching import Cache\ncache = Cache()\n"
                "@cache.cached(0, 'all', unless=u, response_filter=r)\ndef f(): ..."
            ),
            "@cache(expiration=None, key_prefix='all', condition=…)",
        ),
        (
            (
                "from aiocache import cached\n"
                "@cached(ttl=5, key_builder=build, skip_cache_func=skip)\nasync def f(x): ..."
            ),
            "@cache(ttl=5, key=…, condition=…)",
        ),
        (
            (
                "from app.core.utils.cache import cache\n"
                "@cache('post', resource_id_name='post_id')\nasync def f(request, post_id): ..."
            ),
            "@cache(key_prefix='post', resource_id_name='post_id')",
        ),
        (
            "from x.core.utils.cache import cache as kept\n@kept(key_prefix='p')\ndef f(r): ...",
            "@cache(key_prefix='p')",
        ),
        (
            "import joblib\n@joblib.Memory('x').cache(ignore=['v'])\ndef f(x, v): ...",
            "@cache(ignore=['v'])",
        ),
        (
            (
                "import joblib\nmemory = joblib.Memory('x')\n@memory.cache("
                "cache_validation_callback=joblib.expires_after(days=1))\ndef f(x): ..."
            ),
            "@cache(ttl=timedelta(days=1))",
        ),
        (
            (
                "import joblib\nmemory = joblib.Memory('x')\n"
                "@memory.cache(cache_validation_callback=is_valid)\ndef f(x): ..."
            ),
            "@cache(ttl=…)",
        ),
    ],
)
def test_a_decorator_takes_its_arguments_along(tmp_path: Path, source: str, write: str) -> None:
    assert write in replacements(tmp_path, source)


def test_methods_of_objects_are_found_by_what_the_object_is(tmp_path: Path) -> None:
    source = """
from dogpile.cache import make_region

class Repository:
    def __init__(self):
        self.region = make_region().configure("dogpile.cache.redis")

    def load(self, key):
        return self.region.get_or_create(key, self.create)
"""
    assert "cache.get_or_load(key, loader, ttl=…)" in replacements(tmp_path, source)


@pytest.mark.parametrize(
    ("begin", "use", "write"),
    [
        (
            "from cachetools import cached\n@cached(c)",
            "f.cache.pop(f.cache_key(1))",
            "f.invalidate(…)",
        ),
        ("from aiocache import cached\n@cached()", "f.cache.delete('1')", "await f.invalidate(…)"),
        (
            "from dogpile.cache import make_region\nr = make_region()\n@r.cache_on_arguments()",
            "f.set('value', 1)",
            "f.store(value, …)",
        ),
        ("import joblib\nm = joblib.Memory('x')\n@m.cache", "f.call(1)", "f.refresh(…)"),
    ],
)
def test_a_handle_of_a_decorated_function_is_found(
    tmp_path: Path, begin: str, use: str, write: str
) -> None:
    assert write in replacements(tmp_path, f"{begin}\ndef f(x): ...\n{use}\n")


def test_an_object_is_followed_from_module_to_module(tmp_path: Path) -> None:
    findings = found_in(
        tmp_path,
        {
            "src/shop/extensions.py": "from flask_caching import Cache\ncache = Cache()",
            "src/shop/__init__.py": "from .extensions import cache",
            "src/shop/views.py": "from shop import cache\n@cache.memoize(50)\ndef f(x): ...",
            "src/shop/v1/api.py": "from ..extensions import cache as c\nc.delete_memoized(f, 1)",
        },
    )
    by_file = {each.path.rpartition("/")[2]: each.write for each in findings}
    assert by_file["views.py"] == "@cache(ttl=50)"
    assert by_file["api.py"] == "f.invalidate(…), or f.cache_clear()"


@pytest.mark.parametrize(
    "source",
    [
        'CACHES = {"default": {"BACKEND": "django_redis.cache.RedisCache"}}',
        'app.config["CACHE_TYPE"] = "RedisCache"',
        'CACHE_TYPE = "RedisCache"',
        'app.config.update(CACHE_TYPE="RedisCache")',
    ],
)
def test_settings_that_name_a_backend_are_found(tmp_path: Path, source: str) -> None:
    (write,) = replacements(tmp_path, source)
    assert write.startswith('"dualcache.integrations.')


@pytest.mark.parametrize(
    "source",
    [
        "",
        "from dualcache import Cache\ncache = Cache()\n@cache(ttl=5)\ndef f(x): ...",
        "def cached(f): ...\n@cached\ndef f(x): ...",
        'kind = "RedisCache"\nprint("django_redis.cache.RedisCache")',
        "from functools import cached_property, wraps\n@wraps(g)\ndef f(x): ...",
        "from shop import cache\ncache.get(1)",
    ],
)
def test_what_is_no_other_cache_is_not_found(tmp_path: Path, source: str) -> None:
    assert replacements(tmp_path, source) == []


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.page)
def test_the_page_shows_a_use_that_is_found(tmp_path: Path, library: Library) -> None:
    page = ROOT / "docs/coming-from" / f"{library.page}.md"
    before = [block.text for block in blocks_of(page) if not block.is_run]
    assert before, "a page begins with what people have"
    findings = found_in(tmp_path, {f"m{place}.py": text for place, text in enumerate(before)})
    assert library.title in {each.library for each in findings}
    assert {each.page for each in findings if each.library == library.title} == {
        f"{PAGE}{library.page}/"
    }


def test_every_rule_has_something_to_write_and_no_name_twice() -> None:
    rules = [rule for library in LIBRARIES for rule in library.rules]
    assert len(rules) == len(RULES)
    assert all(rule.write or rule.note for rule in rules)
    assert all(rule.note for rule in rules if rule.write == KEEP)
    kinds = set(RETURNS.values())
    assert all(any(name.startswith(f"{kind}.") for name in RULES) for kind in kinds)


def test_environments_are_left_out_and_one_file_can_be_checked(tmp_path: Path) -> None:
    text = "from functools import cache\n@cache\ndef f(): ...\n"
    for name in ("a.py", ".venv/lib/b.py", "node_modules/c.py", "pkg/d.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    assert [path.name for path in sources(tmp_path)] == ["a.py", "d.py"]
    assert [each.line for each in check(tmp_path / "a.py")[0]] == [2]


def test_a_file_that_cannot_be_read_is_named_and_the_rest_is_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "old.py").write_text("print 'two'", "utf-8")
    (tmp_path / "latin.py").write_bytes(b"# -*- coding: latin-1 -*-\nname = '\xe9'\n")
    (tmp_path / "nul.py").write_bytes(b"\0")
    (tmp_path / "used.py").write_text("import joblib\nm = joblib.Memory('x')\n", "utf-8")
    assert main(["migrate-check", str(tmp_path)]) == NOT_SO
    shown = capsys.readouterr()
    assert {line.partition(":")[0].rpartition("/")[2] for line in shown.err.splitlines()} == {
        "old.py",
        "nul.py",
    }
    assert "used.py:2: joblib.Memory('x')" in shown.out
    assert f"1 use of joblib.Memory: {PAGE}joblib/" in shown.out


def test_a_code_base_without_other_caches_ends_with_0(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["migrate-check", str(tmp_path)]) == DONE
    assert capsys.readouterr().out == "No other cache is used here.\n"


def test_json_has_a_document_for_each_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.py").write_text("import functools\n@functools.cache\ndef f(): ...\n", "utf-8")
    assert main(["migrate-check", "--json", str(tmp_path)]) == NOT_SO
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["write"] == "@cache"
