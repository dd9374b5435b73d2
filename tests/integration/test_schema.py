"""`corral schema` prints a JSON Schema that another implementation of draft-07 takes, that has
nothing against good configs and finds what a schema can find in bad ones."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from corral_harness import run_corral

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = sorted((ROOT / "tests/integration/configs").glob("*.yaml"))
MODEL = {"cmd": "llama-server --port ${PORT}"}


def one_id(value):
    """A short name of a test's parameter."""
    return value if isinstance(value, str) else json.dumps(value)[:60]


def mistakes(schema, config):
    """The paths at which the config breaks the schema."""
    found = jsonschema.Draft7Validator(schema).iter_errors(config)
    return sorted("/".join(str(part) for part in error.absolute_path) for error in found)


@pytest.fixture
def schema(yard):
    done = run_corral(yard.folder, "schema")
    assert done.returncode == 0 and done.stderr == "", done
    return json.loads(done.stdout)


def test_it_keeps_the_rules_of_draft_07(schema):
    """Guards: editors read the schema by the meta schema's rules, and know it by its address."""
    jsonschema.Draft7Validator.check_schema(schema)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"


def keywords(schema):
    """Every keyword of every schema below this one."""
    yield from schema
    for name in ("properties", "patternProperties"):
        for below in schema.get(name, {}).values():
            yield from keywords(below) if isinstance(below, dict) else ()
    for name in ("items", "additionalProperties", "propertyNames"):
        if isinstance(schema.get(name), dict):
            yield from keywords(schema[name])
    for below in schema.get("anyOf", []):
        yield from keywords(below)


def test_it_has_no_keyword_that_draft_07_does_not_know(schema):
    """Guards: the meta schema lets a misspelt keyword pass, which then checks nothing."""
    known = set(jsonschema.Draft7Validator.META_SCHEMA["properties"])
    assert set(keywords(schema)) - known == {"x-corral-extension"}


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_it_has_nothing_against_a_good_config(yard, schema, file):
    """Guards: a file that people have from llama-swap passes the strict check and the schema."""
    done = run_corral(yard.folder, "check", file)
    assert done.returncode == 0, done
    assert mistakes(schema, yaml.safe_load(file.read_text())) == []


def test_it_has_nothing_against_the_example(yard, schema):
    """Guards: the example shows values that the schema allows, the ones taken out, too, and a
    strict check has nothing to say about it."""
    done = run_corral(yard.folder, "check", ROOT / "config.example.yaml")
    assert done.returncode == 0 and done.stderr == "", done
    lines = (ROOT / "config.example.yaml").read_text().split("\n")
    text = "\n".join(lines)
    assert mistakes(schema, yaml.safe_load(text)) == []
    whole = "\n".join(
        line.replace("#", "", 1) if line.lstrip().startswith("#") and line.lstrip()[1:2].strip()
        else line
        for line in lines
    )
    assert mistakes(schema, yaml.safe_load(whole)) == []
    assert len(yaml.safe_load(whole)) > len(yaml.safe_load(text))


def test_its_defaults_are_valid(schema):
    """Guards: what an editor fills in as the default is a value of the right kind."""
    checked = 0
    waiting = [schema]
    while waiting:
        one = waiting.pop()
        if "default" in one:
            jsonschema.Draft7Validator(one).validate(one["default"])
            checked += 1
        waiting += [below for below in one.get("properties", {}).values()]
        if isinstance(one.get("additionalProperties"), dict):
            waiting.append(one["additionalProperties"])
    assert checked > 50


# A config with one mistake, and the path at which the schema finds it.
MISTAKES = [
    ({"modles": {}}, ""),
    ({"models": {"m": {**MODEL, "alises": []}}}, "models/m"),
    ({"models": {"m": {}}}, "models/m"),
    ({"models": {"m": None}}, "models/m"),
    ({"models": {"m": {**MODEL, "ttl": "soon"}}}, "models/m/ttl"),
    ({"models": {"m": {**MODEL, "ttl": -2}}}, "models/m/ttl"),
    ({"models": {"m": {**MODEL, "proxy": "localhost"}}}, "models/m/proxy"),
    ({"models": {"m": {**MODEL, "env": ["NAME"]}}}, "models/m/env/0"),
    ({"models": {"m": {**MODEL, "capabilities": {"in": ["video"]}}}},
     "models/m/capabilities/in/0"),
    ({"models": {"m": {**MODEL, "filters": {"setParamsByID": {"a": 1}}}}},
     "models/m/filters/setParamsByID/a"),
    ({"profiles": {"p": ["a"]}}, "profiles/p"),
    ({"startPort": 0}, "startPort"),
    ({"startPort": 65536}, "startPort"),
    ({"healthCheckTimeout": 14}, "healthCheckTimeout"),
    ({"logLevel": "banana"}, "logLevel"),
    ({"metricsMaxInMemory": 0}, "metricsMaxInMemory"),
    ({"captureBuffer": -1}, "captureBuffer"),
    ({"logToStdout": "Proxy"}, "logToStdout"),
    ({"performance": {"every": 5}}, "performance/every"),
    ({"routing": {"router": {"use": "x"}}}, "routing/router/use"),
    ({"routing": {"scheduler": {"use": "lifo"}}}, "routing/scheduler/use"),
    ({"selectors": {"s": {"strategy": "best", "targets": ["m"]}}}, "selectors/s/strategy"),
    ({"selectors": {"s": {"strategy": "warm", "targets": []}}}, "selectors/s/targets"),
    ({"peers": {"p": {"models": ["m"]}}}, "peers/p"),
    ({"macros": {"a b": 1}}, "macros"),
    ({"macros": {"a": [1]}}, "macros/a"),
    ({"limits": {"bodyBuffered": "1 KiloByte"}}, "limits/bodyBuffered"),
    ({"limits": {"headTimeout": -1}}, "limits/headTimeout"),
    ({"limits": {"connections": 0}}, "limits/connections"),
    ({"matrix": {"vars": {"a_b": "m"}, "sets": {"s": "m"}}}, "matrix/vars"),
    ({"matrix": {"sets": {}}}, "matrix/sets"),
    ({"matrix": {"sets": {"s": "m"}, "evict_costs": {"m": 0}}}, "matrix/evict_costs/m"),
]


@pytest.mark.parametrize("config,path", MISTAKES, ids=one_id)
def test_it_finds_a_mistake_where_it_is(schema, config, path):
    """Guards: an editor underlines the value that is wrong, not the file."""
    assert mistakes(schema, config) == [path]


@pytest.mark.parametrize("config", [config for config, _ in MISTAKES], ids=one_id)
def test_it_finds_nothing_that_check_takes(yard, config):
    """Guards: what an editor underlines is a mistake for a strict check, too."""
    file = yard.folder / "c.yaml"
    file.write_text(json.dumps(config))
    assert run_corral(yard.folder, "check", file).returncode == 1


@pytest.mark.parametrize(
    "config",
    [
        None,
        {"models": None, "groups": None, "hooks": {"on_startup": None}},
        {"models": {"m": {**MODEL, "proxy": "unix:///run/m.sock", "name": 7, "ttl": None}}},
        {"models": {"m": {**MODEL, "unlisted": "on"}}},
        {"x-blocks": [1], ".hidden": 2, "_mine": 3},
        {"logLevel": " Warn "},
        {"limits": {"headTimeout": 2.5, "bodyBuffered": "1 GiB", "connections": 5}},
    ],
    ids=one_id,
)
def test_it_leaves_alone_what_check_leaves_alone(yard, schema, config):
    """Guards: nobody's editor complains of a file that works."""
    assert mistakes(schema, config) == []
    file = yard.folder / "c.yaml"
    file.write_text(yaml.safe_dump(config))
    assert run_corral(yard.folder, "check", file).returncode == 0


def test_extensions_are_marked(schema):
    """Guards: a reader of the schema sees which keys llama-swap does not know."""
    keys = schema["properties"]
    assert keys["limits"]["x-corral-extension"] is True
    assert keys["limits"]["properties"]["connections"]["x-corral-extension"] is True
    assert "x-corral-extension" not in keys["models"]
    proxy = keys["models"]["additionalProperties"]["properties"]["proxy"]
    marked = [one["pattern"] for one in proxy["anyOf"] if "x-corral-extension" in one]
    assert marked == ["^unix:///"]


def test_update_docs_makes_the_copies_anew(yard):
    """Guards: whoever changes a key gets schema and tables by one command, and prose stays."""
    docs = yard.folder / "docs"
    docs.mkdir()
    whole = (ROOT / "docs/configuration.md").read_text()
    (docs / "configuration.md").write_text(whole.replace("| `swap` |", "| `swop` |"))
    done = run_corral(yard.folder, "schema", "--update-docs", yard.folder)
    assert done.returncode == 0, done
    assert (docs / "configuration.md").read_text() == whole
    assert json.loads((docs / "config-schema.json").read_text())["title"]
    (docs / "configuration.md").write_text("no markers")
    done = run_corral(yard.folder, "schema", "--update-docs", yard.folder)
    assert done.returncode == 1 and "top level" not in done.stdout and "table" in done.stderr
