"""The board for Grafana and the alerting rules: they load, and each metric they name exists."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Any

import yaml
from prometheus_client import CollectorRegistry

from dualcache import Cache, FrontTier
from dualcache.integrations.prometheus import register

FILES = files("dualcache.integrations.prometheus")
BOARD = json.loads((FILES / "board.json").read_text("utf-8"))
RULES = yaml.safe_load((FILES / "alerts.yaml").read_text("utf-8"))
KEYWORDS = {"by", "and", "le", "sum", "min", "rate", "increase", "histogram_quantile", "offset"}


def exposed() -> dict[str, set[str]]:
    """Return the labels of each sample that is exposed."""
    registry = CollectorRegistry()
    cache = Cache("memory://", front=FrontTier())
    register(cache, registry=registry)
    results = iter([1, object()])
    load = cache(key="k:{n}")(lambda n: next(results) if n else None)
    for n in (1, 2, 1):
        load(n)
    found: dict[str, set[str]] = {}
    for metric in registry.collect():
        for sample in metric.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def expressions(part: Any) -> list[str]:
    """Return all expressions of a file, at whatever depth."""
    if isinstance(part, list):
        return [each for one in part for each in expressions(one)]
    if not isinstance(part, dict):
        return []
    own = [part[key] for key in ("expr", "query", "definition") if isinstance(part.get(key), str)]
    return own + [each for one in part.values() for each in expressions(one)]


def test_every_metric_and_label_that_a_file_names_is_exposed() -> None:
    known = exposed()
    written = [each for each in expressions(BOARD) + expressions(RULES) if "dualcache_" in each]
    assert len(written) > 30
    for expression in written:
        for name, labels in re.findall(r"(dualcache_\w+)(?:\{([^}]*)\})?", expression):
            assert name in known, expression
            assert set(re.findall(r"(\w+)\s*[=!]", labels)) <= known[name], expression
        names = {name for name in known if name in expression}
        for grouped in re.findall(r"by \(([^)]*)\)", expression):
            labels = set(grouped.split(", "))
            assert any(labels <= known[name] for name in names), expression


def test_every_metric_is_on_the_board() -> None:
    shown = " ".join(expressions(BOARD))
    families = {re.sub(r"_(total|bucket|sum|count|created)$", "", name) for name in exposed()}
    missing = {name for name in families if name not in shown}
    assert missing <= {
        "dualcache_background_loads",
        "dualcache_front_bytes",
        "dualcache_front_up",
        "dualcache_verify_samples",
    }


def test_the_board_is_one_that_grafana_takes() -> None:
    assert BOARD["title"] == "dualcache"
    assert BOARD["schemaVersion"] >= 36
    places: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        assert panel["targets"]
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & places, f"{panel['title']} lies over another panel"
        places |= cells
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    variables = {each["name"] for each in BOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(BOARD["panels"])))
    assert used <= variables


def test_each_rule_says_what_happens_and_how_bad_it_is() -> None:
    (group,) = RULES["groups"]
    assert len(group["rules"]) == 4
    for rule in group["rules"]:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["expr"].count("(") == rule["expr"].count(")")
