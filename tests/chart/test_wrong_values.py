"""Wrong values are refused by helm, before anything reaches the cluster, with a message that names them."""

import pytest

from tests.chart.helm import CHART, helm, refusal

HASH = f"sha256:{'0' * 64}"
# What is set on top of a values file, and what the message must say. The first lines are refused by the schema.
WRONG = [
    ("minikube-values.yaml", "fleets.digits.rolout=latest", "Additional property rolout is not allowed"),
    ("minikube-values.yaml", "flets.digits.root=/x", "Additional property flets is not allowed"),
    ("minikube-values.yaml", "fleets.digits.rollout=canary", "fleets.digits.rollout must be one of"),
    ("minikube-values.yaml", "discovery=static", "discovery must be one of"),
    ("minikube-values.yaml", "fleets.digits.root=bucket", "fleets.digits.root: Does not match pattern"),
    ("minikube-values.yaml", "fleets.digits.root=gs://", "fleets.digits.root: Does not match pattern"),
    ("minikube-values.yaml", "fleets.digits.pollSeconds=0", "fleets.digits.pollSeconds: Must be greater than"),
    ("minikube-values.yaml", "fleets.digits.groups.rest.replicas=0", "fleets.digits.groups.rest.replicas"),
    ("minikube-values.yaml", "fleets.Digits.root=/bucket", "fleets"),
    ("minikube-values.yaml", "fleets.digits.groups.Rest.replicas=1", "groups"),
    ("minikube-values.yaml", "fleets.digits.flags.port=1", "fleets.digits.flags"),
    ("minikube-values.yaml", "fleets.digits.batching=yes please", "fleets.digits.batching: Invalid type"),
    ("minikube-values.yaml", "image.tag=latest", "image.tag"),
    ("minikube-values.yaml", "networkPolicy.clients.apps.namespaces=default", "networkPolicy.clients.apps"),
    ("minikube-values.yaml", "networkPolicy.clients.apps.cidr=10.0.0.0", "networkPolicy.clients.apps.cidr"),
    ("minikube-values.yaml", "monitoring.kind=ServiceMonitor", "monitoring.kind must be one of"),
    ("baked-values.yaml", "fleets.digits.bakedImage=digits:latest", "fleets.digits.bakedImage"),
    ("baked-values.yaml", "fleets.digits.bakedImage=registry:5000/digits", "fleets.digits.bakedImage"),
    ("gke-cpu-values.yaml", "fleets.digits.groups.more.autoscaling.minReplicas=2", "maxReplicas is required"),
    ("full-values.yaml", "classifyGateway.replica=3", "Additional property replica is not allowed"),
    ("full-values.yaml", "classifyGateway.image.tag=latest", "classifyGateway.image.tag"),
    ("full-values.yaml", "classifyGateway.limits.pixels=900000000", "classifyGateway.limits.pixels"),
    # A key in the place of its hash, and a hash that is cut off.
    ("minikube-values.yaml", "classifyGateway.keys.hashes.shop=understudy_abc", "classifyGateway.keys.hashes.shop"),
    ("minikube-values.yaml", "classifyGateway.keys.hashes.shop=sha256:0123", "classifyGateway.keys.hashes.shop"),
    ("minikube-values.yaml", f"classifyGateway.keys.hashes.a/b={HASH}", "classifyGateway.keys.hashes"),
    # And these by a check of their own.
    (
        "minikube-values.yaml",
        "fleets.pets.root=/pets,fleets.pets.groups.all.replicas=1",
        "Name the PersistentVolumeClaim",
    ),
    ("minikube-values.yaml", "fleets.digits.source=bucket", "cannot read root"),
    ("minikube-values.yaml", "fleets.digits.source=sync", "Set source to auto"),
    ("gke-cpu-values.yaml", "fleets.digits.source=volume", "needs a folder as root"),
    ("gke-cpu-values.yaml", "fleets.digits.source=image", "source image needs bakedImage, and the model is in root"),
    ("baked-values.yaml", "fleets.digits.source=bucket", "source bucket needs a root, and the model is in bakedImage"),
    ("minikube-values.yaml", "fleets.pets.groups.all.replicas=1", "neither root nor bakedImage is set"),
    *[
        ("minikube-values.yaml", f"fleets.pets.source={source},fleets.pets.groups.all.replicas=1", "neither root nor")
        for source in ("bucket", "sync", "volume", "image")
    ],
    ("minikube-values.yaml", "fleets.digits.bakedImage=digits:1", "are both set"),
    ("baked-values.yaml", "fleets.digits.groups.all.firstRing=true", "no first ring"),
    ("minikube-values.yaml", "fleets.digits.groups.rest.firstRing=true", "first and rest are all the first ring"),
    (
        "minikube-values.yaml",
        "fleets.pets.root=gs://b/p,fleets.pets.groups.first.firstRing=true",
        "the only group, first, cannot be the first ring",
    ),
    ("minikube-values.yaml", "fleets.digits.groups.first.autoscaling.maxReplicas=3", "first ring is not autoscaled"),
    ("gke-cpu-values.yaml", "fleets.digits.groups.rest.autoscaling.maxReplicas=1", "minReplicas 2 is more than"),
    ("minikube-values.yaml", "fleets.digits.drainSeconds=10", "must be more than connectionSeconds 10"),
    ("minikube-values.yaml", "fleets.digits.terminationGracePeriodSeconds=20", "must be more than drainSeconds 20"),
    ("minikube-values.yaml", "fleets.digits.serviceType=LoadBalancer", "without loadBalancerSourceRanges"),
    ("full-values.yaml", "fleets.digits.gateway.grpcHost=digits.example.com", 'are both "digits.example.com"'),
    ("minikube-values.yaml", f"fullnameOverride={'a' * 60}", "fullnameOverride: String length must be less than"),
    ("minikube-values.yaml", f"fullnameOverride={'a' * 55}", "has 62 characters, and may have 58"),
    ("minikube-values.yaml", "fullnameOverride=7up", "fullnameOverride: Does not match pattern"),
    ("minikube-values.yaml", "fullnameOverride=a.b", "fullnameOverride: Does not match pattern"),
    ("minikube-values.yaml", "nameOverride=a-", "nameOverride: Does not match pattern"),
    ("minikube-values.yaml", "fleets.digits.groups.rest-.replicas=1", "groups"),
    (
        "baked-values.yaml",
        "fleets.digits_.bakedImage=a:1,fleets.digits_.groups.all.replicas=1",
        'cannot be named "u-understudy-digits-"',
    ),
    ("minikube-values.yaml", "classifyGateway.enabled=true", "neither secretName nor hashes is set"),
    ("full-values.yaml", f"classifyGateway.keys.hashes.shop={HASH}", "are both set"),
    ("full-values.yaml", "classifyGateway.autoscaling.maxReplicas=2", "minReplicas 3 is more than maxReplicas 2"),
    ("full-values.yaml", "classifyGateway.drainSeconds=71", "must be at least drainSeconds 71 and 20"),
    ("full-values.yaml", "classifyGateway.tls.secretName=", "serverName and clientCertificate need secretName"),
    ("full-values.yaml", "classifyGateway.route.gatewayName=", "no Gateway would lead here"),
    ("full-values.yaml", "classifyGateway.route.host=", "the requests of every host name"),
    ("full-values.yaml", "classifyGateway.ingress.host=small.example.com", "fleets.digits_small.ingress.host are both"),
    ("full-values.yaml", "fleets.digits.groups.pods.replicas=1", 'both be named "u-understudy-digits-pods"'),
    (
        "full-values.yaml",
        "fleets.gateway.root=gs://my-models/understudy,fleets.gateway.groups.all.replicas=1",
        'both be named "u-understudy-gateway"',
    ),
    ("minikube-values.yaml", "image.tag=nightly", "serverTensorflow is empty, and image.tag"),
    ("minikube-values.yaml", "fleets.digits.groups.rest.minimum=3", "minimum 3 pods, and replicas is 2"),
    (
        "full-values.yaml",
        "fleets.digits.ingress.host=small.example.com",
        'fleets.digits.ingress.host and fleets.digits_small.ingress.host are both "small.example.com"',
    ),
    ("minikube-values.yaml", f"fleets.digits.groups.{'a' * 40}.replicas=1,fullnameOverride={'u' * 20}", "may have 63"),
    ("full-values.yaml", "fleets.digits.groups.small-first.replicas=1", "would both be named"),
    ("full-values.yaml", "fleets.digits.groups.small.replicas=1", "fleets.digits_small and fleets.digits.groups.small"),
    (
        "baked-values.yaml",
        "fleets.pipeline.bakedImage=a:1,fleets.pipeline.groups.all.replicas=1",
        "would both be named",
    ),
    ("minikube-values.yaml", "stepPods.verb.train.retries=1", "Additional property verb is not allowed"),
    ("minikube-values.yaml", "stepPods.verbs.train.labels.a=b", "Additional property labels is not allowed"),
    ("minikube-values.yaml", "stepPods.verbs.train.execution=remote", "execution must be one of"),
    ("minikube-values.yaml", "stepPods.verbs.train.image=understudy-pipeline:latest", "stepPods.verbs.train.image"),
    ("full-values.yaml", "stepPods.gke.cluster=c", 'these are "", "" and "c"'),
    ("minikube-values.yaml", "stepPods.enabled=true", "nobody may start the pods"),
    (
        "minikube-values.yaml",
        "stepPods.enabled=true,rbac.airflowUsers={a}",
        'do not reach MLflow, fleets.digits.mlflowUrl "http://mlflow.mlflow:5000", and each train would fail',
    ),
    (
        "minikube-values.yaml",
        "stepPods.enabled=true,rbac.airflowUsers={a},defaults.mlflowUrl=http://mlflow.example.com",
        'fleets.digits.mlflowUrl "http://mlflow.example.com"',
    ),
    ("full-values.yaml", "rbac.airflowNamespace=", "rbac.airflowNamespace is empty"),
    ("full-values.yaml", "fleets.digits_small.root=gs://others/prefix", "have different buckets"),
    ("full-values.yaml", "nameOverride=models", 'nameOverride is "models"'),
    ("baked-values.yaml", "stepPods.enabled=true,rbac.airflowUsers={a}", "no fleet has a bucket"),
]


@pytest.mark.parametrize(("values", "wrong", "message"), WRONG, ids=[wrong[:60] for _, wrong, _ in WRONG])
def test_a_wrong_value_is_refused_with_a_message_that_names_it(values: str, wrong: str, message: str) -> None:
    assert message in refusal(wrong, values=values)


def test_the_chart_without_values_says_what_to_set() -> None:
    done = helm("template", "u", str(CHART), "--kube-version", "1.37.0")

    assert done.returncode != 0
    assert "fleets is empty, so there is nothing to serve. Name a model and its groups" in done.stderr


@pytest.mark.parametrize("release", ["7up", "a.b"])
def test_a_release_whose_name_no_service_may_have_is_refused(release: str) -> None:
    """Helm takes it, and the API would refuse the first Service."""
    values = ("--values", str(CHART / "ci" / "minikube-values.yaml"))

    done = helm("template", release, str(CHART), "--kube-version", "1.37.0", *values)

    assert done.returncode != 0
    assert f'a Service cannot be named "{release}-understudy-digits"' in done.stderr
    assert "Choose another release" in done.stderr


def test_an_older_kubernetes_is_refused() -> None:
    done = helm(
        "template", "u", str(CHART), "--kube-version", "1.28.0", "--values", str(CHART / "ci/minikube-values.yaml")
    )

    assert done.returncode != 0
    assert "chart requires kubeVersion: >=1.29.0-0" in done.stderr


def test_the_kubernetes_of_gke_is_accepted() -> None:
    """Its versions have a suffix, which makes them older than the version without it in most comparisons."""
    values = str(CHART / "ci" / "minikube-values.yaml")

    done = helm("template", "u", str(CHART), "--kube-version", "v1.30.5-gke.1443001", "--values", values)

    assert done.returncode == 0, done.stderr
    assert "sleep:\n" in done.stdout, "1.30 has the sleep action"
