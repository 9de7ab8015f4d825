#!/usr/bin/env bash
# Start an image as docs/production.md says, without rights and on a read-only file system, wait until it is healthy, stop it.
#     try-image.sh registry.example/owner/rekollect@sha256:...
set -euo pipefail
image=$1
container=$(docker run --detach --read-only --cap-drop ALL --security-opt no-new-privileges --env REKOLLECT_AUTH=open "$image")
# shellcheck disable=SC2329  # the trap calls it
end() { docker rm --force --volumes "$container" > /dev/null; }
trap end EXIT
status=starting
for _ in $(seq 60); do
  status=$(docker inspect --format '{{.State.Health.Status}}' "$container")
  if [ "$status" != starting ]; then break; fi
  sleep 1
done
docker logs "$container"
echo "health: $status"
[ "$status" = healthy ]
docker stop --time 30 "$container" > /dev/null
code=$(docker inspect --format '{{.State.ExitCode}}' "$container")
echo "exit code after SIGTERM: $code"
[ "$code" = 0 ]
