#!/usr/bin/env bash
# The testbed across real containers: builds the image, runs every scenario with one actor a container, looks from inside at what
# a UE can reach, kills and restarts actors in the middle of the figure, and compares the report with those of the other two
# topologies. Logs and reports go to a folder; whatever was started is taken down, however it ends.
#
#   test/containers/run.sh [FOLDER]     (out/containers unless given)
#
# Where containers cannot be had it says so and ends with 0, or with 1 when CI is true. The last line sums up.
set -euo pipefail
cd "$(dirname "$0")/../.."
rm -rf "${1:-out/containers}"
out=$(mkdir -p "${1:-out/containers}/logs" && cd "${1:-out/containers}" && pwd)
project=mcptt-run-$$
actors=(access-network sip-core mcptt-as idm kms ue ue-b ue-c)
began=$SECONDS
failed=()

say() { printf '\n=== %s (%s s)\n' "$*" $((SECONDS - began)); }
check() { # check WHAT COMMAND…: counts a failure and goes on
  local what=$1
  shift
  if "$@"; then echo "ok    $what"; else echo "WRONG $what"; failed+=("$what"); fi
}
until_true() { # until_true SECONDS COMMAND…
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < end)) || return 1
    sleep 0.3
  done
}
bounded() { timeout --kill-after=10 "$@"; }
name() { echo "${project}_$1_1"; }
compose() { bounded 900 podman-compose -p "$project" "$@" 2> >(grep -v systemd >&2); }
quietly() { "$@" >>"$out/engine.log" 2>&1; }

say 'tools and base image'
if ! base=$(bounded 900 test/containers/base.sh); then
  [ "${CI:-}" = true ] && { echo 'containers: failed, CI needs them'; exit 1; }
  echo 'containers: skipped'
  exit 0
fi
# shellcheck disable=SC1090
. "$base"
[ -d node_modules ] || quietly npm ci --no-audit --no-fund

tear_down() {
  local status=$?
  trap - EXIT
  for actor in init "${actors[@]}" runner; do podman logs "$(name "$actor")" >"$out/logs/$actor.jsonl" 2>/dev/null || true; done
  quietly podman ps -aq --filter "label=io.podman.compose.project=$project" | xargs -r podman rm -f -t 1 >/dev/null 2>&1 || true
  podman ps -aq --filter "name=^$project" | xargs -r podman rm -f -t 1 >/dev/null 2>&1 || true
  podman volume ls -q --filter "name=^$project" | xargs -r podman volume rm -f >/dev/null 2>&1 || true
  podman network ls -q --filter "name=^$project" | xargs -r podman network rm -f >/dev/null 2>&1 || true
  ((${#failed[@]} == 0)) || printf 'failed: %s\n' "${failed[@]}"
  if ((status == 0 && ${#failed[@]} > 0)); then status=1; fi
  printf 'containers: %s in %s s, logs and reports in %s\n' "$([ $status = 0 ] && echo pass || echo FAIL)" $((SECONDS - began)) "$out"
  exit "$status"
}
trap tear_down EXIT
: >"$out/engine.log"

say 'image'
bounded 600 podman build -t mcptt-testbed . >"$out/build.log" 2>&1 || { tail -20 "$out/build.log"; exit 1; }
# What the builds left to be written would hold up the actors' own files for as long as a minute.
bounded 120 sync || true
size() { podman image inspect --format '{{.Size}}' "$1"; }
added=$((($(size mcptt-testbed) - $(size docker.io/library/node:20-bookworm-slim)) / 1000000))
check "the image adds $added MB to its base, less than 120" [ $added -lt 120 ]
in_image() { bounded 60 podman run --rm --network none --entrypoint sh mcptt-testbed -c "$1"; }
check 'nobody is root in it' [ "$(in_image 'id -u')" != 0 ]
check 'it holds no development dependency' in_image '! ls node_modules/typescript node_modules/mocha node_modules/tsx 2>/dev/null | grep -q .'

say 'every scenario, one container an actor'
status=0
compose up --exit-code-from runner runner >"$out/up.log" 2>&1 || status=$?
grep -E '^(✔|✘|\?|·) |^[0-9]+ scenarios' "$out/up.log" || tail -30 "$out/up.log"
take() { podman volume export "${project}_out" | tar -x -C "$out"; }
take
verdict() { node -p "JSON.parse(require('fs').readFileSync('$1')).verdict" 2>/dev/null || echo none; }
expected_code() { case $(verdict "$1") in pass) echo 0 ;; fail) echo 1 ;; *) echo 3 ;; esac; }
check "the exit code, $status, is the verdict's, $(verdict "$out/report.json")" [ $status = "$(expected_code "$out/report.json")" ]
check 'all pass' [ "$(verdict "$out/report.json")" = pass ]
why() { # why REPORT: what its failed steps say
  node -e 'for (const s of JSON.parse(require("fs").readFileSync(process.argv[1])).scenarios)
    for (const { number, failure } of s.steps) if (failure) console.log(`${s.id}, step ${number}: ${failure.message}`)' "$1" 2>/dev/null || true
}
why "$out/report.json"

say 'what the actors are, seen from inside'
healthy() { until_true 30 quietly podman healthcheck run "$(name "$1")" || { podman exec "$(name "$1")" node dist/sim/cli/main.js health "$1" --here; return 1; }; }
for actor in "${actors[@]}"; do check "$actor is healthy" healthy "$actor"; done
check 'the root file system cannot be written' bash -c "! podman exec $(name ue) touch /app/x 2>/dev/null"
check 'a UE sees no key but its own' [ "$(podman exec "$(name ue)" sh -c 'find /testbed -name "*.key" | sort | xargs')" = /testbed/ue/tls.key ]
addresses() { podman inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}' "$(name "$1")"; }
open=(access-network:4000 sip-core:5081 idm:8443 kms:8443)
shut=(mcptt-as:5060 mcptt-as:8443 ue-b:9000 access-network:9000 sip-core:5060 sip-core:9000 idm:9000 kms:9000 runner:9000)
for actor in "${actors[@]:0:5}" ue-b ue-c; do for address in $(addresses "$actor"); do shut+=("$address:9000" "$address:5060"); done; done
for address in $(addresses mcptt-as); do shut+=("$address:8443"); done
reach() { bounded 60 podman exec -i "$(name ue)" sh -c 'cat >/tmp/reach.mjs && node /tmp/reach.mjs "$@"' sh "$@" <test/containers/reach.mjs >"$out/reach.txt"; }
check "the UE reaches the ${#open[@]} ports that the figure gives it and none of ${#shut[@]} others" reach open "${open[@]}" -- shut "${shut[@]}" ||
  cat "$out/reach.txt"

# The figure with one actor killed, as by a power cut, and started again between two of its steps.
restart_in_figure() { # restart_in_figure ACTOR STEP
  local actor=$1 step=$2 log="$out/restart-$1.log" pipe status=0 run
  pipe=$(mktemp -u)
  mkfifo "$pipe"
  bounded 240 podman run --rm -i --name "$project-restart" --read-only --cap-drop all --network "$controls" \
    -v "${project}_public:/testbed/public:ro" -v "${project}_runner:/testbed/runner:ro" -v "${project}_out:/out" \
    mcptt-testbed run figure-7.x.2-1 --pause-before "$step" --json "/out/restart-$actor.json" <"$pipe" >"$log" 2>&1 &
  run=$!
  exec 9>"$pipe"
  if until_true 120 grep -q '^paused before' "$log"; then
    quietly podman kill --signal KILL "$(name "$actor")"
    quietly podman start "$(name "$actor")"
    until_true 120 quietly podman healthcheck run "$(name "$actor")" || status=1
    echo >&9
  fi
  exec 9>&-
  wait $run || status=$?
  rm -f "$pipe"
  return $status
}
controls=$(printf "${project}_control-%s," "${actors[@]}")
controls=${controls%,}

say 'an actor dies in the middle of the figure'
check 'the MCPTT server, between step 3b and step 4: pass' restart_in_figure mcptt-as 4
check 'the KMS, between step 3a and step 3b: pass' restart_in_figure kms 3b
take
for report in "$out"/restart-*.json; do why "$report"; done
grep -hE '^── |^✔|^✘' "$out"/restart-*.log || true

say 'SIGTERM'
for actor in "${actors[@]}"; do bounded 20 podman stop -t 10 "$(name "$actor")" >/dev/null 2>&1; done
ended() { podman inspect --format '{{.State.ExitCode}}' "$(name "$1")"; }
for actor in "${actors[@]}"; do check "$actor ended with $(ended "$actor")" [ "$(ended "$actor")" = 0 ]; done
all_json() { podman logs "$1" 2>/dev/null | node -e 'for (const l of require("fs").readFileSync(0, "utf8").trim().split("\n")) JSON.parse(l)'; }
for actor in "${actors[@]}"; do check "$actor logged JSON lines" all_json "$(name "$actor")"; done

say 'the same image as one process, and as one process each'
alone() { bounded 400 podman run --rm --network none --read-only --tmpfs /tmp --unsetenv MCPTT_TESTBED_FOLDER -v "${project}_out:/out" --entrypoint sh mcptt-testbed -c "$1"; }
main='node dist/sim/cli/main.js'
quietly alone "$main run all --json /out/one-process.json" || true
quietly alone "$main up --processes --folder /tmp/t & until $main health ue --folder /tmp/t && $main health mcptt-as --folder /tmp/t; do sleep 1; done; $main run all --folder /tmp/t --json /out/processes.json; kill -TERM \$!; wait" || true
take
check 'three topologies, one report' node --import tsx test/containers/compare-reports.ts "$out"/{one-process,processes,report}.json
