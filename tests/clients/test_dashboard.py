"""The dashboard and the alert rules against running servers: no metric, label or value of a label that they do not tell."""

import contextlib
import json
import re
import urllib.error
import urllib.request

import pytest
import yaml
from botocore.exceptions import ClientError
from principals import file_of_keys, principal
from servers import ROOT, rekognition

DASHBOARD = ROOT / "docs/grafana/rekollect.json"
OPERATIONS = ROOT / "docs/operations.md"
# What Prometheus itself gives each series, and the one series that it makes of a target.
OF_PROMETHEUS = {"job", "instance"}
MADE_BY_PROMETHEUS = "up"
GROUPING = r"\b(?:by|on|without|ignoring) ?\(([^)]*)\)"
NOBODY = principal("nobody", ("AKIANOBODY", "hush"), ("AKIAEXPIRED", "hush", None, "2020-01-31T00:00:00Z"))


def of_dashboard():
    board = json.loads(DASHBOARD.read_text())
    queries = [variable["definition"] for variable in board["templating"]["list"] if variable["type"] == "query"]
    shown = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    return shown + [re.fullmatch(r"label_values\((.*), \w+\)", query)[1] for query in queries]


def of_rules():
    (rules,) = re.findall(r"^```yaml\n(groups:\n.*?)^```", OPERATIONS.read_text(), re.MULTILINE | re.DOTALL)
    return [rule["expr"] for group in yaml.safe_load(rules)["groups"] for rule in group["rules"]]


def parts(expression):
    """The metrics of an expression, each with the values that its labels are to have, and the labels that it groups by."""
    matchers = {}
    for name, text in re.findall(r"(\w+)\{([^}]*)\}", expression):
        matchers.setdefault(name, []).extend(re.findall(r'(\w+)(?:=~|!=|!~|=)"([^"]*)"', text))
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]", "", expression)
    grouped = {label.strip() for labels in re.findall(GROUPING, bare) for label in labels.split(",")}
    # Whatever else is a word, and is not called, has to be a metric.
    names = re.findall(r"\b[a-zA-Z_]\w*\b(?!\s*\()", re.sub(GROUPING, "", bare))
    return {name: matchers.get(name, []) for name in names}, grouped


def samples(url):
    """Every series that a server tells: the metric's name, with the values that each label has."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as reply:
        text = reply.read().decode()
    told = {}
    for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? \S+$", text, re.MULTILINE):
        values = told.setdefault(name, {})
        for label, value in re.findall(r'(\w+)="([^"]*)"', labels):
            values.setdefault(label, set()).add(value)
    return told


def answer_well_and_badly(server, photo):
    client = server.client
    client.create_collection(CollectionId="metrics")
    client.index_faces(CollectionId="metrics", Image={"Bytes": photo("obama.jpg")}, DetectionAttributes=["ALL"])
    client.search_faces_by_image(CollectionId="metrics", Image={"Bytes": photo("obama2.jpg")})
    for code in ("InternalServerError", "ThrottlingException", "ProvisionedThroughputExceededException"):
        rule = json.dumps({"operation": "DescribeCollection", "error": code, "calls": 1}).encode()
        urllib.request.urlopen(f"{server.url}/_faults", rule, timeout=10).close()
        with contextlib.suppress(ClientError):
            client.describe_collection(CollectionId="metrics")


def turn_away(server):
    for key in [("AKIANOBODY", "hush"), ("AKIANOBODY", "wrong"), ("AKIAUNKNOWN", "hush"), ("AKIAEXPIRED", "hush")]:
        with pytest.raises(ClientError):
            rekognition(server.url, key).list_collections()
    for headers in ({}, {"Authorization": "AWS4-HMAC-SHA256 nothing else"}):
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(urllib.request.Request(server.url, b"{}", headers), timeout=10)


@pytest.fixture(scope="module")
def told(start_server, photo, tmp_path_factory):
    """What two servers tell: one that answered well, failed and was full, and one that turned callers away."""
    credentials = file_of_keys(tmp_path_factory.mktemp("dashboard"), NOBODY)
    open_server, signed = start_server(args=["--enable-faults"]), start_server(args=["--credentials", credentials, "--metrics", "on"])
    answer_well_and_badly(open_server, photo)
    turn_away(signed)
    told = samples(open_server.url)
    for name, labels in samples(signed.url).items():
        for label, values in labels.items():
            told[name].setdefault(label, set()).update(values)
    return told


@pytest.mark.parametrize("expression", of_dashboard() + of_rules())
def test_an_expression_asks_for_what_servers_tell(told, expression):
    metrics, grouped = parts(expression)
    assert metrics, "no metric is in it"
    for name, matchers in metrics.items():
        if name == MADE_BY_PROMETHEUS:
            continue
        assert name in told, f"there is no metric {name}"
        labels = told[name]
        assert {label for label, _ in matchers} | grouped <= set(labels) | OF_PROMETHEUS, f"{name} has no such label"
        for label, value in matchers:
            assert label in OF_PROMETHEUS or set(value.split("|")) <= labels[label], f"{name} has no such {label}"


def test_the_dashboard_asks_the_source_that_its_reader_chooses():
    board = json.loads(DASHBOARD.read_text())
    variables = {variable["name"] for variable in board["templating"]["list"]}
    assert "datasource" in variables
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    for target in (target for panel in board["panels"] for target in panel.get("targets", [])):
        assert target["datasource"]["uid"] == "${datasource}"
        assert set(re.findall(r"\$(\w+)", target["expr"])) <= variables | {"__rate_interval"}
