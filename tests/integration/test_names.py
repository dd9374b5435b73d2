"""A request reaches the model that its name stands for: profiles, selectors, paths, and the lists
that tell what names there are."""

import json

import pytest
from corral_harness import poll_until
from corral_http import make_request


def two_models(yard, **top):
    """Models a and b that may run at the same time."""
    yard.engine("a", {"aliases": ["alias-a"]}, gate=top.pop("gate", False))
    yard.engine("b")
    return yard.serve(groups=yard.together(), **top)


def bodies(engine):
    return [json.loads(body) for _, body in engine.requests]


def choose(corral, name):
    return corral.request("PUT", "/api/profiles/active", {"name": name})


def test_a_warm_selector_prefers_the_model_that_is_ready(yard):
    """Guards: a selector saves the load that it is there to save (contract, Appendix A)."""
    corral = two_models(yard, selectors={"sel": {"strategy": "warm", "targets": ["b", "a"]}})
    assert corral.chat("a").status == 200
    answer = corral.chat("sel")
    assert (answer.status, answer.json()["model"]) == (200, "a")
    assert yard.engines["b"].starts == []
    assert [body["model"] for body in bodies(yard.engines["a"])] == ["a", "a"]


def test_a_warm_selector_starts_its_first_target_when_none_runs(yard):
    """Guards: a selector works from cold."""
    corral = two_models(yard, selectors={"sel": {"strategy": "warm", "targets": ["b", "a"]}})
    assert corral.chat("sel").json()["model"] == "b"
    assert yard.engines["a"].starts == []


def test_a_pin_selector_always_takes_its_first_target(yard):
    """Guards: a pin does not follow what happens to run."""
    corral = two_models(yard, selectors={"sel": {"strategy": "pin", "targets": ["b", "a"]}})
    corral.chat("a")
    assert corral.chat("sel").json()["model"] == "b"


def test_a_selectors_target_may_be_an_alias_with_parameters_of_its_own(yard):
    """Guards: setParamsByID goes by the name that the selector chose, and the body says it."""
    yard.engine("a", {"filters": {"setParamsByID": {"a:high": {"effort": "high"}}}})
    corral = yard.serve(selectors={"sel": {"strategy": "warm", "targets": ["a:high"]}})
    assert corral.post("/v1/completions", '{"model":"sel" , "n":1.0}').status == 200
    assert yard.engines["a"].requests[0][1] == b'{"model":"a:high" , "n":1.0,"effort":"high"}'


def test_a_spillover_starts_the_next_model_when_the_first_is_busy(yard):
    """Guards: requests under way are counted until they end, and only until then."""
    spill = {"strategy": "spillover", "targets": ["a", "b"], "settings": {"spillover": 1}}
    corral = two_models(yard, gate=True, selectors={"sel": spill})
    first = yard.engines["a"]
    with corral.connect() as connection:
        connection.send(make_request("POST", "/v1/completions", {"model": "sel"}))
        poll_until(lambda: first.count("request") == 1, what="the first request at a")
        assert corral.chat("sel").json()["model"] == "b"
        first.open_gate()
        assert connection.read_response().json()["model"] == "a"
    first.open_gate()
    assert corral.chat("sel").json()["model"] == "a"  # both idle: a's turn is the longest ago


def test_a_profile_leads_names_elsewhere_while_it_is_active(yard):
    """Guards: the peer's API of profiles, and that a pin reaches the body."""
    pins = {"gpt-4": "a", "b": "a", "off": None}
    corral = two_models(yard, profiles={"day": {"description": "d", "pins": pins}})
    listed = {"id": "day", "description": "d", "pins": {"gpt-4": "a", "b": "a", "off": ""}}
    assert corral.get("/api/profiles").json() == {"active": None, "profiles": [listed]}
    assert corral.chat("gpt-4").status == 404
    answer = choose(corral, "day")
    assert (answer.status, answer.json()) == (200, {"active": "day"})
    assert corral.get("/api/profiles").json()["active"] == "day"
    for name in ("gpt-4", "b"):
        assert corral.chat(name).json()["model"] == "a"
    assert [body["model"] for body in bodies(yard.engines["a"])] == ["a", "a"]
    assert corral.get("/upstream/gpt-4/page").json()["target"] == "/page"
    assert corral.get("/upstream/off/page").status == 404
    off = corral.chat("off")
    assert (off.status, off.error["code"]) == (404, "not_found")
    assert off.error["message"].startswith("no model id could be identified")
    assert yard.engines["b"].starts == []
    assert choose(corral, None).json() == {"active": None}
    assert corral.chat("gpt-4").status == 404


@pytest.mark.parametrize(
    "body,status,message",
    [
        ("{", 400, "invalid profile request"),
        ("{}", 400, "profile name is required"),
        ('{"name":5}', 400, "profile name must be a string or null"),
        ('{"name":"noon"}', 404, 'profile "noon" not found'),
        ('{"name":"' + "x" * 70_000 + '"}', 413, None),
    ],
)
def test_a_choice_of_profile_that_is_none_changes_nothing(yard, body, status, message):
    """Guards: the peer's errors, and that the active profile outlives them."""
    corral = two_models(yard, profiles={"day": {"pins": {"x": "a"}}})
    choose(corral, "day")
    answer = corral.request("PUT", "/api/profiles/active", body)
    assert answer.status == status, answer
    assert message is None or answer.error["message"] == message
    assert corral.get("/api/profiles").json()["active"] == "day"


def test_names_in_a_query_follow_profile_and_selector(yard):
    """Guards: GET /props?model= asks the model that POST would ask, under that model's name."""
    selectors = {"sel": {"strategy": "pin", "targets": ["a"]}}
    corral = two_models(yard, selectors=selectors)
    echo = corral.get("/props?x=%20&model=sel&autoload=1").json()
    assert echo["target"] == "/props?x=%20&model=a&autoload=1"
    assert corral.get("/props?model=alias%2Da").json()["target"] == "/props?model=alias%2Da"


def test_selectors_are_no_models_below_upstream(yard):
    """Guards: /upstream names one process, as with the peer."""
    corral = two_models(yard, selectors={"sel": {"strategy": "warm", "targets": ["a"]}})
    answer = corral.get("/upstream/sel/x")
    assert (answer.status, answer.error["code"]) == (404, "model_not_found")
    assert "model not found" in answer.error["message"]


def test_files_of_a_page_do_not_load_a_model(yard):
    """Guards: an open browser tab does not bring back a model that was unloaded."""
    corral = two_models(yard)
    for path in ("x.js", "deep/y.css", "a%2Ejs", "favicon.ico?v=1"):
        answer = corral.get(f"/upstream/alias-a/{path}")
        assert answer.status == 409, answer
        assert answer.error["message"] == (
            "model a is not loaded; path matches upstream.ignorePaths"
        )
    assert yard.engines["a"].starts == []
    assert corral.get("/upstream/a/x.jsx").status == 200  # loads it
    assert corral.get("/upstream/a/x.js").json()["target"] == "/x.js"


def test_the_configs_own_ignore_paths_replace_the_usual_ones(yard):
    """Guards: upstream.ignorePaths is what the config says, as RE2."""
    corral = two_models(yard, upstream={"ignorePaths": ["^/(assets|img)/", "[.]map$"]})
    for path in ("assets/x", "img/", "x.map"):
        assert corral.get(f"/upstream/a/{path}").status == 409
    assert corral.get("/upstream/a/deep/assets/x.js").status == 200


def test_comfyui_is_loaded_by_its_page_only(yard):
    """Guards: the contract's §1.5, so that ComfyUI's page does not keep its server alive."""
    yard.engine("plain")
    config = yard.config()
    config["models"]["comfyui_auto"] = config["models"].pop("plain")
    corral = yard.serve(config)
    for method, status in (("GET", 301), ("HEAD", 301), ("POST", 308)):
        answer = corral.request(method, "/comfyui?x=1")
        assert (answer.status, answer.field("Location")) == (status, "/comfyui/?x=1")
    answer = corral.post("/comfyui/api/prompt", {})
    assert answer.status == 409
    assert answer.error["message"] == (
        "model comfyui_auto is not loaded; only /comfyui/ can start it"
    )
    assert yard.engines["plain"].starts == []
    assert corral.get("/comfyui/?x=1").json()["target"] == "/?x=1"
    assert corral.get("/comfyui/api/a%2Fb?y=%20").json()["target"] == "/api/a%2Fb?y=%20"


def test_comfyui_without_its_model_is_not_found(yard):
    """Guards: the message tells which model is missing."""
    answer = two_models(yard).get("/comfyui/")
    assert answer.status == 404
    assert answer.error["message"] == "local model comfyui_auto not found"


def test_every_name_is_listed_with_what_it_is(yard):
    """Guards: clients find each name that they may use, and what is behind it."""
    yard.engine(
        "a",
        {
            "aliases": ["alias-a"],
            "metadata": {"port": 1, "nested": {"x": [1.5, "two"]}},
            "capabilities": {"in": ["text", "image"], "out": ["text"], "context": 4096},
            "filters": {"setParamsByID": {"a:high": {"effort": "high"}}},
        },
    )
    corral = yard.serve(
        includeAliasesInList=True,
        selectors={"sel": {"strategy": "warm", "targets": ["a"], "name": "Any"}},
        peers={"p1": {"proxy": "http://127.0.0.1:1", "models": ["pm"]}},
        profiles={"day": {"pins": {"new": "a"}}},
    )
    choose(corral, "day")
    corral.chat("a")
    listing = corral.get("/v1/models").json()
    assert corral.get("/models").json()["data"][0]["id"] == "a"
    records = {record["id"]: record for record in listing["data"]}
    assert list(records) == ["a", "a:high", "alias-a", "new", "p1/pm", "sel"]
    kinds = {name: r["meta"]["llamaswap"]["type"] for name, r in records.items()}
    assert kinds == {"a": "model", "a:high": "alias", "alias-a": "alias", "new": "profile",
                     "p1/pm": "peer", "sel": "selector"}
    about = records["a"]["meta"]["llamaswap"]
    assert (about["port"], about["nested"]) == (1, {"x": [1.5, "two"]})
    assert records["a"]["architecture"]["modality"] == "text+image->text"
    assert records["a"]["context_length"] == records["a"]["meta"]["n_ctx"] == 4096
    loaded = [name for name, r in records.items() if r["status"]["value"] == "loaded"]
    assert loaded == ["a", "a:high", "alias-a", "sel"]
    for name, record in records.items():
        one = corral.get(f"/v1/models/{name}").json()
        assert {**one, "created": 0} == {**record, "created": 0}


def test_the_version_is_told(yard):
    """Guards: scripts ask which program they talk to."""
    version = two_models(yard).get("/api/version").json()
    assert set(version) == {"version", "commit", "build_date"}
