"""A double of a Kubernetes cluster: its API over HTTPS, and a kubelet that runs each pod as a local process.

api         the server: TLS, tokens, rights, answers and streams
cluster     the objects, their versions and their changes
pods        what the API does with pods: create, patch, delete, log
kubelet     runs pods; pod_run is the life of one pod, container its process, container_log its output
faults      what a test can order to go wrong
objects     makes pods, slices, Secrets and so on

The kubelet differs from a real one in what needs a container: a pod's process shares the machine's files, user and
network with the test, and SIGTERM ends it unless it handles the signal, as it is with an init process. So the value
/dev/termination-log of the variable UNDERSTUDY_RESULT_FILE is replaced by the path of a file of the container's own.
Pods have one container, no init containers, and restartPolicy Never; others are refused with 501.
"""
