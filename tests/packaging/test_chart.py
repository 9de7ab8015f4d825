"""The Helm chart: linted and rendered by Helm, held against Kubernetes' own schemas and the server's own settings, and served: the server
starts with the variables that the chart renders. No cluster is here, so nothing is installed."""

import base64
import os
import re
import ssl
import subprocess
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import kubernetes_validate
import pytest
import yaml
from botocore.exceptions import ClientError
from certificates import CA
from databases import Databases
from principals import allow, file_of_keys, policy, principal
from servers import BINARY, MODELS, ROOT, rekognition

CHART = ROOT / "packaging/helm/rekollect"
IMAGE = {"image": {"repository": "registry.example/rekollect"}}
OPEN = {"auth": {"open": True}}
PAIR = {"auth": {"pair": {"existingSecret": "my-key"}}}
INLINE_PAIR = {"auth": {"pair": {"accessKeyId": "AKIACHART", "secretAccessKey": "hush-hush"}}}
FILE = {"auth": {"credentials": {"existingSecret": "my-keys"}}}
POSTGRES = {"database": {"existingSecret": "my-database"}}
INLINE_POSTGRES = {"database": {"url": "postgres://rekollect:database-secret@postgres/rekollect"}}
INLINE_S3 = {"s3": {"endpoint": "http://s3:9000", "accessKeyId": "S3KEY", "secretAccessKey": "not-for-everybody"}}
SECRETS = ["hush-hush", "database-secret", "not-for-everybody"]
# The oldest that the chart takes, the last one without and the first one with the pause before the end, and the newest one that there is a schema for.
KUBERNETES = ["1.25.0", "1.29.0", "1.30.0", kubernetes_validate.latest_version()]

CASES = {
    "sqlite-open": OPEN,
    "sqlite-pair": PAIR,
    "sqlite-inline-pair": INLINE_PAIR,
    "sqlite-file": FILE,
    "sqlite-without-volume": {**OPEN, "persistence": {"enabled": False}},
    "sqlite-storage": {**OPEN, "persistence": {"storageClass": "fast", "size": "20Gi", "annotations": {"a": "b"}}},
    "postgres": {**PAIR, **POSTGRES, "replicas": 3},
    "postgres-inline": {**INLINE_PAIR, **INLINE_POSTGRES},
    "postgres-file": {**FILE, **POSTGRES, "search": "pgvector", "strategy": {"type": "Recreate"}},
    "autoscaling": {**PAIR, **POSTGRES, "autoscaling": {"enabled": True}, "podDisruptionBudget": {"enabled": True}},
    "budget": {**PAIR, **POSTGRES, "replicas": 2, "podDisruptionBudget": {"enabled": True, "maxUnavailable": "50%"}},
    "ingress": {**PAIR, "ingress": {"enabled": True, "host": "faces.example", "tlsSecret": "tls", "className": "nginx", "annotations": {"a": "b"}}},
    "ingress-plain": {**PAIR, "ingress": {"enabled": True, "host": "faces.example"}},
    "network": {**PAIR, "networkPolicy": {"enabled": True}},
    "network-both-ways": {
        **PAIR,
        **POSTGRES,
        "networkPolicy": {
            "enabled": True,
            "from": [{"namespaceSelector": {"matchLabels": {"team": "photos"}}}],
            "egress": {"restricted": True, "to": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 5432, "protocol": "TCP"}]}]},
        },
    },
    "monitor": {**PAIR, "metrics": {"enabled": True, "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}}}},
    "tls": {**PAIR, "tls": {"existingSecret": "faces-tls"}},
    "tls-monitor": {
        **FILE,
        **POSTGRES,
        "tls": {"existingSecret": "faces-tls"},
        "metrics": {"enabled": True, "serviceMonitor": {"enabled": True, "tlsConfig": {"serverName": "rekollect.faces.svc"}}},
    },
    "openshift": {**PAIR, "openshift": True},
    "s3": {**PAIR, **INLINE_S3},
    "s3-role": {**PAIR, "s3": {"region": "eu-central-1", "style": "virtual"}, "serviceAccount": {"annotations": {"role": "arn"}}},
    "s3-secret": {**PAIR, "s3": {"endpoint": "https://s3:9000", "region": "us-east-1", "existingSecret": "my-s3"}},
    "everything-else": {
        **PAIR,
        "image": {"repository": "registry.example/rekollect", "digest": "sha256:" + "a" * 64},
        "imagePullSecrets": [{"name": "pull"}],
        "settings": {"REKOLLECT_RATES": "IndexFaces=5,*=50", "REKOLLECT_MAX_BODY": "16777216", "RUST_LOG": "warn"},
        "extraEnv": [{"name": "REKOLLECT_S3_SESSION_TOKEN", "valueFrom": {"secretKeyRef": {"name": "token", "key": "token"}}}],
        "extraEnvFrom": [{"configMapRef": {"name": "more"}}],
        "extraVolumes": [{"name": "photos", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "photos", "mountPath": "/photos"}],
        "listenAddress": "[::]",
        "service": {"type": "LoadBalancer", "port": 80, "annotations": {"a": "b"}},
        "serviceAccount": {"create": False, "name": "other"},
        "podLabels": {"a": "b"},
        "podAnnotations": {"a": "b"},
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "faces", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule"}],
        "priorityClassName": "high",
        "podSecurityContext": {"runAsUser": 4711, "runAsNonRoot": True},
    },
}

REFUSED = {
    "image.repository is empty": {**OPEN, "image": {"repository": ""}},
    "nobody is said to be allowed to call": {},
    "auth.pair and auth.open are both set": {"auth": {"open": True, "pair": {"existingSecret": "my-key"}}},
    "auth.credentials and auth.pair are both set": {"auth": {**FILE["auth"], **PAIR["auth"]}},
    "auth.pair names an existing Secret and a key as well": {"auth": {"pair": {**PAIR["auth"]["pair"], **INLINE_PAIR["auth"]["pair"]}}},
    "auth.pair has one half of a key": {"auth": {"pair": {"accessKeyId": "AKIA"}}},
    "database.url and database.existingSecret are both set": {**PAIR, "database": {"url": "postgres://a/b", "existingSecret": "c"}},
    "replicas is more than 1 without Postgres": {**PAIR, "replicas": 2},
    "autoscaling needs Postgres": {**PAIR, "autoscaling": {"enabled": True}},
    "podDisruptionBudget needs several servers": {**PAIR, "podDisruptionBudget": {"enabled": True}},
    "podDisruptionBudget needs at least two servers": {**PAIR, **POSTGRES, "podDisruptionBudget": {"enabled": True}},
    "search=pgvector needs Postgres": {**PAIR, "search": "pgvector"},
    "autoscaling.minReplicas is more than": {**PAIR, **POSTGRES, "autoscaling": {"enabled": True, "minReplicas": 9}},
    "s3 has a key but no server": {**PAIR, "s3": {"existingSecret": "my-s3"}},
    "s3 names an existing Secret and a key as well": {**PAIR, "s3": {**INLINE_S3["s3"], "existingSecret": "my-s3"}},
    "s3 has one half of a key": {**PAIR, "s3": {"endpoint": "http://s3", "secretAccessKey": "x"}},
    "metrics.serviceMonitor asks for /metrics": {**PAIR, "metrics": {"serviceMonitor": {"enabled": True}}},
    "ingress.host is empty": {**PAIR, "ingress": {"enabled": True}},
    "settings.REKOLLECT_LISTEN: the chart sets this variable itself, by the value listenAddress": {
        **PAIR,
        "settings": {"REKOLLECT_LISTEN": "0.0.0.0:80"},
    },
    "settings.REKOLLECT_TLS_CLIENT_CA asks for client certificates": {**PAIR, "settings": {"REKOLLECT_TLS_CLIENT_CA": "/ca.pem"}},
    "settings.REKOLLECT_S3_SESSION_TOKEN is a secret": {**PAIR, "settings": {"REKOLLECT_S3_SESSION_TOKEN": "x"}},
    # By the schema of the values.
    "additional properties 'replicaCount' not allowed": {**PAIR, "replicaCount": 2},
    "got number, want string": {**PAIR, "settings": {"REKOLLECT_QUEUE": 3}},
    "at '/search'": {**PAIR, "search": "faiss"},
    "at '/database/url'": {**PAIR, "database": {"url": "mysql://a/b"}},
}


@pytest.fixture(scope="module")
def render(helm, tmp_path_factory):
    """Renders the chart with values; the documents."""
    rendered = {}

    def render(values, kubernetes=KUBERNETES[-1], release="rekollect"):
        key = (repr(values), kubernetes, release)
        if key not in rendered:
            finished = attempt(helm, tmp_path_factory, values, "--kube-version", kubernetes, release=release)
            assert finished.returncode == 0, finished.stderr
            rendered[key] = finished.stdout
        return [document for document in yaml.safe_load_all(rendered[key]) if document]

    return render


def attempt(helm, tmp_path_factory, values, *args, release="rekollect"):
    file = tmp_path_factory.mktemp("values") / "values.yaml"
    file.write_text(yaml.safe_dump({**IMAGE, **values}))
    return helm("template", release, CHART, "--namespace", "faces", "--values", file, *args)


def one(documents, kind):
    found = [document for document in documents if document["kind"] == kind]
    assert len(found) == 1, f"{len(found)} of kind {kind}"
    return found[0]


def kinds(documents):
    return sorted(document["kind"] for document in documents)


def server(documents):
    """The Deployment or StatefulSet, the template of its pod, and the container in it."""
    workload = next(document for document in documents if document["kind"] in ("Deployment", "StatefulSet"))
    pod = workload["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    return workload, pod, container


def environment(documents, secrets=None):
    """The variables of the server as a kubelet would set them: those of Secrets out of the chart's own, or of `secrets`."""
    known = {document["metadata"]["name"]: document["stringData"] for document in documents if document["kind"] == "Secret"} | (secrets or {})
    variables = {}
    for variable in server(documents)[2]["env"]:
        assert variable["name"] not in variables, f"{variable['name']} is set twice"
        if "value" in variable:
            variables[variable["name"]] = variable["value"]
        else:
            source = variable["valueFrom"]["secretKeyRef"]
            variables[variable["name"]] = known[source["name"]][source["key"]]
    return variables


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_lint(helm, tmp_path):
    for name, values in CASES.items():
        file = tmp_path / f"{name}.yaml"
        file.write_text(yaml.safe_dump({**IMAGE, **values}))
        finished = helm("lint", "--strict", CHART, "--values", file)
        assert finished.returncode == 0, f"{name}: {finished.stdout}{finished.stderr}"


@pytest.mark.parametrize("kubernetes", KUBERNETES)
@pytest.mark.parametrize("case", CASES)
def test_what_is_rendered_is_kubernetes_own(render, case, kubernetes):
    documents = render(CASES[case], kubernetes)
    assert documents
    for document in documents:
        if document["kind"] == "ServiceMonitor":  # a resource of the Prometheus operator's: below
            continue
        kubernetes_validate.validate(document, ".".join(kubernetes.split(".")[:2]), strict=True)
    names = [(document["kind"], document["metadata"]["name"]) for document in documents]
    assert len(names) == len(set(names))


def test_the_schemas_can_refuse(render):
    deployment = one(render(CASES["postgres"]), "Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="livenesProbe"):
        kubernetes_validate.validate(deployment, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("reason", REFUSED)
def test_what_could_not_work_is_refused_with_the_reason(helm, tmp_path_factory, reason):
    finished = attempt(helm, tmp_path_factory, REFUSED[reason])
    assert finished.returncode != 0
    assert reason in finished.stderr


@pytest.mark.parametrize("case", CASES)
def test_every_variable_is_a_setting_of_the_server(render, settings, case):
    assert "DATABASE_URL" in settings and len(settings) > 40
    names = [variable["name"] for variable in server(render(CASES[case]))[2]["env"]]
    assert names and len(names) == len(set(names))
    # The two are the log's and ONNX Runtime's.
    assert [name for name in names if name not in settings and name not in ("RUST_LOG", "ORT_DISABLE_TELEMETRY")] == []


def test_the_chart_refuses_in_settings_what_it_sets_itself(render, settings, helm, tmp_path_factory):
    """Every variable that any of the cases makes the chart render is refused in `settings`, so none can be set twice."""
    rendered = {variable["name"] for case, values in CASES.items() if case != "everything-else" for variable in server(render(values))[2]["env"]}
    assert len(rendered) > 14
    for name in rendered:
        finished = attempt(helm, tmp_path_factory, {**PAIR, "settings": {name: "x"}})
        reason = "does not match pattern" if name in ("DATABASE_URL", "ORT_DISABLE_TELEMETRY") else f"settings.{name}: the chart sets this variable itself"
        assert finished.returncode != 0 and reason in finished.stderr, finished.stderr


def test_sqlite_is_one_server_with_a_volume(render):
    documents = render(PAIR)
    assert kinds(documents) == ["Pod", "Service", "ServiceAccount", "StatefulSet"]
    workload, pod, container = server(documents)
    assert workload["spec"]["replicas"] == 1
    (claim,) = workload["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"] and claim["spec"]["resources"]["requests"]["storage"] == "5Gi"
    assert container["volumeMounts"] == [{"name": claim["metadata"]["name"], "mountPath": "/data"}]
    assert environment(documents, {"my-key": {"access-key-id": "a", "secret-access-key": "b"}})["REKOLLECT_DATA_DIR"] == "/data"
    assert workload["spec"]["serviceName"] == one(documents, "Service")["metadata"]["name"]


def test_a_throw_away_server_has_no_claim(render):
    workload, pod, _ = server(render(CASES["sqlite-without-volume"]))
    assert "volumeClaimTemplates" not in workload["spec"]
    assert pod["spec"]["volumes"] == [{"name": "data", "emptyDir": {}}]


def test_postgres_is_a_deployment_without_a_volume(render):
    documents = render(CASES["postgres"])
    assert kinds(documents) == ["Deployment", "Pod", "Service", "ServiceAccount"]
    workload, pod, container = server(documents)
    assert workload["spec"]["replicas"] == 3
    assert "volumeMounts" not in container and "volumes" not in pod["spec"]
    variables = environment(documents, {"my-key": {"access-key-id": "a", "secret-access-key": "b"}, "my-database": {"DATABASE_URL": "postgres://"}})
    assert variables["DATABASE_URL"] == "postgres://" and "REKOLLECT_DATA_DIR" not in variables


def test_an_autoscaler_counts_the_replicas_itself(render):
    documents = render(CASES["autoscaling"])
    workload = server(documents)[0]
    assert "replicas" not in workload["spec"]
    target = one(documents, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == (workload["kind"], workload["metadata"]["name"])


@pytest.mark.parametrize("case", CASES)
def test_probes_and_the_end(render, case, settings):
    _, pod, container = server(render(CASES[case]))
    (port,) = container["ports"]
    assert port["containerPort"] == 7350
    paths = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {name: probe["path"] for name, probe in paths.items()} == {"startup": "/readyz", "liveness": "/healthz", "readiness": "/readyz"}
    assert {probe["port"] for probe in paths.values()} == {port["name"]}
    assert {probe["scheme"] for probe in paths.values()} == {"HTTPS" if "tls" in CASES[case] else "HTTP"}
    shutdown = int(next(variable["value"] for variable in container["env"] if variable["name"] == "REKOLLECT_SHUTDOWN_TIMEOUT"))
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert shutdown == int(settings["REKOLLECT_SHUTDOWN_TIMEOUT"]) and pod["spec"]["terminationGracePeriodSeconds"] > shutdown + pause


def test_an_older_cluster_gets_no_pause_that_it_does_not_know(render):
    assert "lifecycle" not in server(render(OPEN, "1.29.0"))[2]
    assert "lifecycle" in server(render(OPEN, "1.30.0"))[2]
    assert "lifecycle" in server(render(OPEN, "v1.30.4-eks-1234"))[2]


@pytest.mark.parametrize("case", CASES)
def test_no_pod_can_do_more_than_it_needs(render, case):
    documents = render(CASES[case])
    for pod in (server(documents)[1]["spec"], one(documents, "Pod")["spec"]):
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
    for account in (document for document in documents if document["kind"] == "ServiceAccount"):
        assert account["automountServiceAccountToken"] is False
    # Variables such as REKOLLECT_PORT, of a Service of that name, would look like the server's.
    assert server(documents)[1]["spec"]["enableServiceLinks"] is False


def test_openshift_chooses_the_user(render):
    plain = server(render(PAIR))[1]["spec"]["securityContext"]
    assert (plain["runAsUser"], plain["runAsGroup"], plain["fsGroup"]) == (10001, 0, 10001)
    for pod in (server(render(CASES["openshift"]))[1], one(render(CASES["openshift"]), "Pod")):
        assert set(pod["spec"]["securityContext"]) == {"runAsNonRoot", "seccompProfile"}


def test_secrets_are_in_secrets_alone(render):
    documents = render({**INLINE_PAIR, **INLINE_POSTGRES, **INLINE_S3})
    secret = one(documents, "Secret")
    assert all(value in yaml.safe_dump(secret) for value in SECRETS)
    others = yaml.safe_dump_all([document for document in documents if document["kind"] != "Secret"])
    for value in SECRETS:
        assert value not in others and base64.b64encode(value.encode()).decode() not in others
    # A changed secret starts the servers anew; the same one does not.
    checksum = lambda documents: server(documents)[1]["metadata"]["annotations"]["checksum/secret"]  # noqa: E731
    again = render({**INLINE_S3, **INLINE_POSTGRES, **INLINE_PAIR})
    other = render({**INLINE_PAIR, **INLINE_POSTGRES, "s3": {**INLINE_S3["s3"], "secretAccessKey": "another"}})
    assert checksum(documents) == checksum(again) != checksum(other)


def test_only_the_api_is_let_in_from_outside(render):
    documents = render(CASES["ingress"])
    spec = one(documents, "Ingress")["spec"]
    (rule,) = spec["rules"]
    (path,) = rule["http"]["paths"]
    assert (rule["host"], path["path"], path["pathType"]) == ("faces.example", "/", "Exact")
    assert path["backend"]["service"]["name"] == one(documents, "Service")["metadata"]["name"]
    assert spec["tls"] == [{"hosts": ["faces.example"], "secretName": "tls"}]
    assert "tls" not in one(render(CASES["ingress-plain"]), "Ingress")["spec"]


def test_the_service_finds_the_server_and_no_other_pod(render):
    documents = render(PAIR)
    selector = one(documents, "Service")["spec"]["selector"]
    workload, pod, container = server(documents)
    assert selector.items() <= pod["metadata"]["labels"].items()
    assert workload["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert not selector.items() <= one(documents, "Pod")["metadata"]["labels"].items()
    assert one(documents, "Service")["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]


def test_the_network_policy_lets_in_who_is_named_and_helm_test(render):
    near = one(render(CASES["network"]), "NetworkPolicy")["spec"]
    assert near["policyTypes"] == ["Ingress"] and near["ingress"][0]["from"] == [{"podSelector": {}}]
    documents = render(CASES["network-both-ways"])
    spec = one(documents, "NetworkPolicy")["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    named, tester = spec["ingress"][0]["from"]
    assert named == {"namespaceSelector": {"matchLabels": {"team": "photos"}}}
    assert tester["podSelector"]["matchLabels"].items() <= one(documents, "Pod")["metadata"]["labels"].items()
    assert spec["podSelector"]["matchLabels"].items() <= server(documents)[1]["metadata"]["labels"].items()
    ports = [port["port"] for rule in spec["egress"] for port in rule["ports"]]
    assert ports == [53, 53, 5432]


def test_the_service_monitor(render):
    documents = render(CASES["monitor"])
    monitor, service = one(documents, "ServiceMonitor"), one(documents, "Service")
    assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert set(monitor["spec"]) == {"jobLabel", "selector", "endpoints"}
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    # What the alerts of docs/operations.md ask for.
    assert service["metadata"]["labels"][monitor["spec"]["jobLabel"]] == "rekollect"
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint == {"port": service["spec"]["ports"][0]["name"], "path": "/metrics", "interval": "30s", "scrapeTimeout": "10s"}


def test_the_service_monitor_of_a_server_with_tls(render):
    (endpoint,) = one(render(CASES["tls-monitor"]), "ServiceMonitor")["spec"]["endpoints"]
    assert (endpoint["scheme"], endpoint["tlsConfig"]) == ("https", {"serverName": "rekollect.faces.svc"})


def test_spread_over_hosts_counts_the_charts_own_pods(render):
    _, pod, _ = server(render(CASES["everything-else"]))
    (constraint,) = pod["spec"]["topologySpreadConstraints"]
    assert constraint["labelSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert constraint["maxSkew"] == 1


def test_large_numbers_stay_as_they_were_written(render):
    variables = {variable["name"]: variable.get("value") for variable in server(render(CASES["everything-else"]))[2]["env"]}
    assert variables["REKOLLECT_MAX_BODY"] == "16777216" and variables["REKOLLECT_LISTEN"] == "[::]:7350"


def test_long_names_stay_within_what_kubernetes_takes(render):
    for document in render(PAIR, release="r" * 53):
        assert len(document["metadata"]["name"]) <= 63


def test_versions_agree():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = re.search(r'^version = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
    assert chart["appVersion"] == chart["version"] == version


def test_the_examples_of_the_readme_render(render):
    text = (CHART / "README.md").read_text()
    (values,) = re.findall(r"```yaml\n# values.yaml\n(.*?)```", text, re.DOTALL)
    found = kinds(render(yaml.safe_load(values)))
    assert {"Deployment", "Ingress", "NetworkPolicy", "PodDisruptionBudget", "ServiceMonitor"} <= set(found)
    for value in re.findall(r"--set ([a-zA-Z.]+)=", text):
        known = yaml.safe_load((CHART / "values.yaml").read_text())
        for part in value.split("."):
            known = known[part]


def test_the_notes_say_how_to_call(helm, tmp_path):
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump({**IMAGE, **OPEN}))
    finished = helm("install", "rekollect", CHART, "--namespace", "faces", "--values", file, "--dry-run=client")
    assert finished.returncode == 0, finished.stderr
    notes = finished.stdout.split("NOTES:")[1]
    assert "AWS_ENDPOINT_URL_REKOGNITION=http://rekollect.faces.svc:7350" in notes
    assert "rollout status statefulset/rekollect" in notes and "No keys" in notes


def start(start_server, documents, secrets=None, **changed):
    """The release binary with the variables that the chart renders, the image's own beside them. Only places are other ones: the address,
    the folders."""
    variables = environment(documents, secrets)
    image = dict(re.findall(r"(REKOLLECT_\w+)=(\S+)", (ROOT / "Dockerfile").read_text().split("\nFROM scratch")[1]))
    here = {"REKOLLECT_MODELS_DIR": str(MODELS), "REKOLLECT_PACK": "standard"}
    if "REKOLLECT_DATA_DIR" in variables:
        here["REKOLLECT_DATA_DIR"] = changed.pop("data")
    return start_server(env={**image, **variables, **here, **changed})


def call(started, photo, key):
    client = rekognition(started.url, key)
    client.create_collection(CollectionId="chart")
    (face,) = client.index_faces(CollectionId="chart", Image={"Bytes": photo})["FaceRecords"]
    (match,) = client.search_faces_by_image(CollectionId="chart", Image={"Bytes": photo})["FaceMatches"]
    assert match["Face"]["FaceId"] == face["Face"]["FaceId"]


def test_the_server_works_with_what_the_chart_renders_for_sqlite(render, start_server, photo, tmp_path):
    documents = render({**INLINE_PAIR, "workers": 1, "metrics": {"enabled": True}, "settings": {"REKOLLECT_RATES": "ListCollections=1"}})
    (home := tmp_path / "home").mkdir()
    started = start(start_server, documents, data=str(tmp_path / "volume"), HOME=str(home))
    call(started, photo, ("AKIACHART", "hush-hush"))
    assert (tmp_path / "volume/rekollect.db").exists()
    # What ONNX Runtime would keep there before it calls its maker.
    assert list(home.iterdir()) == []
    with pytest.raises(ClientError, match="InvalidSignatureException"):
        rekognition(started.url, ("AKIACHART", "wrong")).list_collections()
    container = server(documents)[2]
    for probe in ("startup", "liveness", "readiness"):
        assert get(started.url + container[f"{probe}Probe"]["httpGet"]["path"])[0] == 200
    assert "rekollect_requests_total" in get(f"{started.url}/metrics")[1]
    assert '"workers":1' in started.log.read_text(), "the log is not JSON, or the workers are not those of the chart"

    # And `helm test` says so, given the variables that a kubelet sets for the Service.
    (tester,) = one(documents, "Pod")["spec"]["containers"]
    assert one(documents, "Pod")["spec"]["enableServiceLinks"] is True
    service = one(documents, "Service")["metadata"]["name"].upper().replace("-", "_")
    links = {f"{service}_SERVICE_HOST": "127.0.0.1", f"{service}_SERVICE_PORT": str(started.port)}
    args = [re.sub(r"\$\((\w+)\)", lambda variable: links[variable[1]], arg) for arg in tester["args"]]
    assert subprocess.run([BINARY, *args], timeout=30).returncode == 0
    started.stop()
    assert subprocess.run([BINARY, *args], timeout=30, capture_output=True).returncode == 1


def test_the_server_works_with_the_certificate_that_the_chart_mounts(render, start_server, photo, tmp_path):
    documents = render({**INLINE_PAIR, "tls": {"existingSecret": "faces-tls"}})
    _, pod, container = server(documents)
    (volume,) = [volume for volume in pod["spec"]["volumes"] if volume["name"] == "tls"]
    (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == "tls"]
    assert volume["secret"]["secretName"] == "faces-tls" and mount["readOnly"]
    # The names of the files are those of every Secret of this type.
    named = {name: value for name, value in environment(documents).items() if name.startswith("REKOLLECT_TLS_")}
    assert named == {"REKOLLECT_TLS_CERTIFICATE": f"{mount['mountPath']}/tls.crt", "REKOLLECT_TLS_KEY": f"{mount['mountPath']}/tls.key"}
    ca = CA(tmp_path / "ca", "of a test")
    files = dict(zip(named, map(str, ca.issue("server"))))
    started = start(start_server, documents, data=str(tmp_path / "volume"), **files)
    trusting = ssl.create_default_context(cafile=ca.file)
    for probe in ("startup", "liveness", "readiness"):
        address = f"https://127.0.0.1:{started.port}{container[f'{probe}Probe']['httpGet']['path']}"
        with urllib.request.urlopen(address, context=trusting, timeout=30) as reply:
            assert reply.status == 200
    # And `helm test` speaks it too.
    tester = one(documents, "Pod")
    assert [volume["name"] for volume in tester["spec"]["volumes"]] == ["tls"]
    (tester,) = tester["spec"]["containers"]
    assert {variable["name"]: variable["value"] for variable in tester["env"]} == named
    line = [BINARY, "healthcheck", "--listen", f"127.0.0.1:{started.port}"]
    assert subprocess.run(line, env={**os.environ, **files}, timeout=30).returncode == 0


def test_the_server_works_with_a_file_of_keys_and_no_metrics(render, start_server, photo, tmp_path):
    documents = render(FILE)
    _, pod, container = server(documents)
    (volume,) = pod["spec"]["volumes"]
    (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == volume["name"]]
    assert volume["secret"]["secretName"] == "my-keys" and mount["readOnly"]
    place = environment(documents)["REKOLLECT_CREDENTIALS"]
    assert place == f"{mount['mountPath']}/{volume['secret']['items'][0]['path']}"
    key = ("AKIAFILE", "in a file")
    file = file_of_keys(tmp_path, principal("app", key, account="111122223333", policies=[policy(allow("*"))]))
    started = start(start_server, documents, data=str(tmp_path / "volume"), REKOLLECT_CREDENTIALS=file)
    call(started, photo, key)
    assert get(f"{started.url}/metrics")[0] != 200


def test_the_server_works_with_what_the_chart_renders_for_postgres(render, start_server, photo, database):
    documents = render({**INLINE_PAIR, "database": {"url": database, "connections": 3}})
    started = start(start_server, documents)
    call(started, photo, ("AKIACHART", "hush-hush"))
    assert urlsplit(database).path.lstrip("/") in started.log.read_text()


def test_an_open_server_takes_everybody(render, start_server, photo, tmp_path):
    started = start(start_server, render(OPEN), data=str(tmp_path / "volume"))
    call(started, photo, ("anybody", "anything"))
    assert "REKOLLECT_AUTH=open" in started.log.read_text() or "no keys are configured" in started.log.read_text()


@pytest.fixture
def database():
    """The URL of a database of its own."""
    databases = Databases()
    yield databases.create()
    databases.drop_all()
